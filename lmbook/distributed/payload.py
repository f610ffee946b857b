"""What travels: NumPy arrays as their bytes, anything else pickled."""

import pickle
from typing import Any

import numpy as np


def is_plain(x: Any) -> bool:
    """Whether a value is an array that travels as its bytes."""
    return type(x) is np.ndarray and not x.dtype.hasobject and x.dtype.names is None


def snapshot(x: Any) -> tuple[Any, int]:
    """A copy that shares nothing with `x`, and its bytes: those of an array or of a list of arrays,
    or of the pickle of anything else."""
    if is_plain(x):
        return x.copy(), x.nbytes
    if type(x) is list and x and all(map(is_plain, x)):
        return [a.copy() for a in x], sum(a.nbytes for a in x)
    data = pickle.dumps(x, protocol=5)
    return pickle.loads(data), len(data)


def nbytes(x: Any) -> int:
    """The bytes of a value, as `snapshot` counts them."""
    if is_plain(x):
        return x.nbytes
    if type(x) is list and x and all(map(is_plain, x)):
        return sum(a.nbytes for a in x)
    return len(pickle.dumps(x, protocol=5))


def pack(x: Any) -> tuple[tuple[str, tuple[int, ...]] | None, memoryview]:
    """(dtype and shape, bytes) of an array; (None, pickle) of anything else."""
    if is_plain(x):
        flat = np.ascontiguousarray(x).reshape(-1)
        return (x.dtype.str, x.shape), flat.view(np.uint8).data
    return None, memoryview(pickle.dumps(x, protocol=5))


def unpack(form: tuple[str, tuple[int, ...]] | None, data: Any) -> Any:
    """What `pack` took, from a writable buffer: the array uses it without a copy."""
    if form is None:
        return pickle.loads(data)
    dtype, shape = form
    if not len(data):
        return np.empty(shape, dtype)
    return np.frombuffer(data, dtype=np.dtype(dtype)).reshape(shape)


def describe(x: Any) -> str:
    """A short name for messages: `float64 (3, 4)`, or the type."""
    if isinstance(x, np.ndarray):
        return f"{x.dtype} {x.shape}"
    return type(x).__name__
