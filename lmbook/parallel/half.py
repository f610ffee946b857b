"""Sixteen bits a number: what weights in mixed precision take on the way and in memory."""

import numpy as np

from lmbook.backend import DTypeError

FORMATS = ("float16", "bfloat16")


def pack(x: np.ndarray, name: str) -> np.ndarray:
    """float32 numbers rounded to the nearest of a 16-bit format (ties to even), two bytes each.

    float16 stays itself. NumPy has no bfloat16: its bits come as uint16, the upper half of float32's
    after adding half of the last place (Kalamkar et al. 2019). What is too large becomes infinite.
    """
    if x.dtype != np.float32:
        raise DTypeError(f"pack: {x.dtype} to {name}; 16-bit weights are made from float32")
    if name == "float16":
        with np.errstate(over="ignore"):
            return x.astype(np.float16)
    bits = np.ascontiguousarray(x).view(np.uint32)
    rounded = (bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))) >> np.uint32(
        16
    )
    return np.where(np.isnan(x), np.uint16(0x7FC0), rounded.astype(np.uint16))


def unpack(x: np.ndarray) -> np.ndarray:
    """The float32 numbers that `pack` rounded to; exact, since every 16-bit number is one."""
    if x.dtype == np.float16:
        return x.astype(np.float32)
    return (x.astype(np.uint32) << np.uint32(16)).view(np.float32)
