"""Where an array lives: in the host's memory (NumPy) or on a GPU (CuPy), and how it gets there.

The engine calls NumPy's functions. Given a CuPy array they run CuPy's (NEP 13 and NEP 18), so one
line serves both. What NumPy makes from nothing, or from a list, is the host's: these functions move it.
CuPy refuses to mix the two and never copies to the host by itself, which finds what was not moved.
"""

from types import ModuleType
from typing import Any

import numpy as np

from lmbook.backend import table
from lmbook.backend.errors import require
from lmbook.backend.shape_only import ShapeOnly

_OF_CUPY: dict[type, bool] = {np.ndarray: False}


def on_gpu(x: Any) -> bool:
    """Whether `x` is an array of CuPy."""
    kind = type(x)
    found = _OF_CUPY.get(kind)
    if found is None:
        found = _OF_CUPY[kind] = kind.__module__.partition(".")[0] == "cupy"
    return found


def is_array(x: Any) -> bool:
    """Whether `x` is an array, of NumPy or of CuPy."""
    return isinstance(x, np.ndarray) or on_gpu(x)


def namespace(*arrays: Any) -> ModuleType:
    """The array library that made `arrays`: numpy, or cupy if one of them lives on a GPU."""
    for array in arrays:
        if on_gpu(array):
            return require("cupy", "gpu", "an array on the GPU")
    return np


def asarray(x: Any, dtype: Any = None) -> Any:
    """`x` as an array in the memory of the backend in use, without a copy where none is needed."""
    if type(x) is ShapeOnly:
        return x if dtype is None or x.dtype == dtype else x.astype(dtype)
    if not table.gpu:
        return np.asarray(x, dtype)
    table.settled()  # the environment may ask for a GPU that is not there
    if not on_gpu(x):
        x = require("cupy", "gpu", 'backend "cupy"').asarray(np.asarray(x, dtype))
    return x if dtype is None or x.dtype == dtype else x.astype(dtype)


def local(x: Any) -> Any:
    """An array of NumPy in the memory of the backend in use; anything else as it is."""
    return asarray(x) if isinstance(x, np.ndarray) else x


def host(x: Any) -> np.ndarray:
    """`x` as an array of NumPy: a copy if it lives on a GPU, which waits until that is done."""
    return x.get() if on_gpu(x) else np.asarray(x)


def writeable(x: Any) -> bool:
    """Whether entries may be changed: on a GPU, which has no such flag, not where one is seen twice."""
    if on_gpu(x):
        seen_twice = any(n > 1 and step == 0 for n, step in zip(x.shape, x.strides, strict=True))
        return not seen_twice or x.size == 0
    return bool(x.flags.writeable)


def inside(x: Any, length: int) -> Any:
    """`x`; `IndexError` if its integers point outside an axis, where CuPy would wrap them around.

    It waits for the GPU. Where the backend is not on one, NumPy looks by itself.
    """
    if table.gpu and x.dtype.kind in "iu" and x.size:
        low, high = x.min().item(), x.max().item()
        if not -length <= low <= high < length:
            wrong = low if low < -length else high
            raise IndexError(f"index {wrong} is out of bounds for an axis of length {length}")
    return x


def check_index(shape: tuple[int, ...], index: Any) -> None:
    """`inside` for the arrays and lists of an index into an array of this shape."""
    if not table.gpu:
        return
    parts = index if isinstance(index, tuple) else (index,)
    parts = tuple(np.asarray(i, int if i == [] else None) if type(i) is list else i for i in parts)
    axes = [0 if i is None or i is Ellipsis or isinstance(i, bool) else
            i.ndim if is_array(i) and i.dtype == bool else 1 for i in parts]  # fmt: skip
    axis = 0
    for part, n in zip(parts, axes, strict=True):
        if part is Ellipsis:
            axis += len(shape) - sum(axes)
        elif is_array(part) and axis < len(shape):
            inside(part, shape[axis])
        axis += n


def contiguous(x: Any) -> Any:
    """`x` with its entries in a row, the last axis fastest; a copy where it was not."""
    return namespace(x).ascontiguousarray(x)
