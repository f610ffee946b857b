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


def on_gpu(x: Any) -> bool:
    """Whether `x` is an array of CuPy."""
    return type(x).__module__.partition(".")[0] == "cupy"


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
    if not table.on_gpu():
        return np.asarray(x, dtype)
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
        return not any(n > 1 and step == 0 for n, step in zip(x.shape, x.strides, strict=True))
    return bool(x.flags.writeable)


def contiguous(x: Any) -> Any:
    """`x` with its entries in a row, the last axis fastest; a copy where it was not."""
    return namespace(x).ascontiguousarray(x)
