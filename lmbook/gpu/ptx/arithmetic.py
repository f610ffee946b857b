"""What single PTX instructions compute, as functions of NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray

TYPES = {
    "pred": "?", "u8": "u1", "s8": "i1", "b8": "u1", "u16": "u2", "s16": "i2", "b16": "u2", "f16": "f2",
    "u32": "u4", "s32": "i4", "b32": "u4", "f32": "f4", "u64": "u8", "s64": "i8", "b64": "u8", "f64": "f8",
}  # fmt: skip
WIDER = {"i4": "i8", "u4": "u8", "i2": "i4", "u2": "u4"}

COMPARE = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "lo": np.less, "ls": np.less_equal, "hi": np.greater, "hs": np.greater_equal,
}  # fmt: skip
_TWO: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "max": np.fmax, "min": np.fmin, "and": np.bitwise_and,
    "or": np.bitwise_or, "xor": np.bitwise_xor,
}  # fmt: skip
_ONE: dict[str, Callable[..., Any]] = {
    "neg": np.negative, "abs": np.abs, "not": np.invert, "ex2": np.exp2, "lg2": np.log2,
    "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "tanh": np.tanh,
    "rcp": lambda x: x.dtype.type(1) / x, "rsqrt": lambda x: x.dtype.type(1) / np.sqrt(x),
}  # fmt: skip


def as_type(value: Any, code: str) -> Any:
    """Bits of a register read as a type: the same bits where the size is equal, the low ones where not."""
    dtype = np.dtype(code)
    if value.dtype == dtype:
        return value
    if value.dtype.itemsize == dtype.itemsize and "?" not in (value.dtype.char, dtype.char):
        return value.view(dtype)
    return value.astype(dtype)


def compute(op: tuple[str, ...], x: list[Any]) -> Any:
    """The result of an arithmetic instruction. Raises `NotImplementedError` for one that is not here."""
    name, code = op[0], TYPES[op[-1]]
    if name in ("fma", "mad", "mul"):
        return _product(op, x, code)
    if name == "selp":
        return np.where(x[2], x[0], x[1])
    if name == "setp":
        return _compare(op[1], x[0], x[1])
    if name == "div":
        return x[0] / x[1] if code[0] == "f" else _truncated(x[0], x[1])
    if name == "rem":
        return np.fmod(x[0], np.where(x[1] == 0, x[1].dtype.type(1), x[1]))
    if name in ("shl", "shr"):
        return (np.left_shift if name == "shl" else np.right_shift)(x[0], x[1].astype(x[0].dtype))
    if name == "bfi":
        return _inserted(x, code)
    if name in _TWO:
        return _TWO[name](x[0], x[1])
    if name in _ONE:
        return _ONE[name](x[0])
    raise NotImplementedError(f"the PTX runner does not know {'.'.join(op)}")


def _inserted(x: list[Any], code: str) -> Any:
    """`base` with the low `length` bits of `field` put in at `position` (PTX ISA, 'bfi')."""
    field, base, position, length = x
    bits = 8 * np.dtype(code).itemsize
    one = np.uint64(1)
    low, count = (as_type(v, "u4").astype("u8") & np.uint64(255) for v in (position, length))
    ones = np.where(count < bits, (one << np.minimum(count, np.uint64(63))) - one, ~np.uint64(0))
    low_safe = np.minimum(low, np.uint64(63))
    mask = np.where(low < bits, ones << low_safe, np.uint64(0))
    moved = as_type(field, code).astype("u8") << low_safe
    return ((as_type(base, code).astype("u8") & ~mask) | (moved & mask)).astype(code)


def _product(op: tuple[str, ...], x: list[Any], code: str) -> Any:
    if op[0] == "fma":  # one rounding: exact in float64 for float32
        exact = x[0].astype("f8") * x[1] + x[2]
        return _down(exact) if "rm" in op else exact.astype(code)
    if code[0] == "f":
        return x[0] * x[1]
    if "wide" in op:
        product = x[0].astype(WIDER[code]) * x[1].astype(WIDER[code])
    elif "hi" in op:
        product = ((x[0].astype(WIDER[code]) * x[1].astype(WIDER[code])) >> 32).astype(code)
    else:
        product = x[0] * x[1]
    return product + x[2] if op[0] == "mad" else product


def _down(exact: Any) -> Any:
    """float64 rounded to float32 towards minus infinity."""
    near = exact.astype("f4")
    return np.where(near.astype("f8") > exact, np.nextafter(near, np.float32(-np.inf)), near)


def _truncated(a: Any, b: Any) -> Any:
    b = np.where(b == 0, b.dtype.type(1), b)
    return (a - np.fmod(a, b)) // b


def _compare(how: str, a: Any, b: Any) -> Any:
    if a.dtype.kind == "f" and how not in COMPARE and how.endswith("u"):
        return COMPARE[how[:-1]](a, b) | np.isnan(a) | np.isnan(b)  # true if unordered, too
    return COMPARE[how](a, b)


def convert(op: tuple[str, ...], value: Any) -> Any:
    """`cvt`: rounding modes, saturation, and types."""
    target, source = TYPES[op[-2]], TYPES[op[-1]]
    x = as_type(value, source)
    if "sat" in op:
        x = np.clip(np.nan_to_num(x, nan=0.0), 0, 1)
    if (target[0] in "iu" and source[0] == "f") or (
        source[0] == "f" and op[1] in ("rni", "rzi", "rmi", "rpi")
    ):
        x = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}[op[1]](x)
    return x.astype(target)


def shuffled_lane(kind: str, lane: Array, b: Any, c: Any) -> Array:
    """The lane that `shfl.sync` reads: PTX ISA, 'shfl.sync', with its clamp and segment mask."""
    clamp, segment = c & 31, (c >> 8) & 31
    most, least = (lane & segment) | (clamp & ~segment), lane & segment
    if kind == "up":
        wish = lane - b
        ok = wish >= most
    else:
        wish = {"down": lane + b, "bfly": lane ^ b, "idx": least | (b & ~segment)}[kind]
        ok = wish <= most
    return np.where(ok, wish, lane)
