"""Make tensors: from values, filled, or random."""

from typing import Any

import numpy as np

from lmbook.autograd.tensor import Tensor, raw
from lmbook.backend import (
    Array,
    default_dtype,
    default_generator,
    host,
    int64,
    is_array,
    on_gpu,
)


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of `data`: Python floats become float32, arrays keep their type."""
    if on_gpu(raw(data)):
        return Tensor(raw(data).astype(dtype or raw(data).dtype), requires_grad)
    if dtype is None and not hasattr(raw(data), "dtype"):
        array = np.asarray(_plain(data))
        dtype = default_dtype if array.dtype.kind == "f" else array.dtype
    return Tensor(np.array(_plain(data), dtype=dtype), requires_grad)


def as_tensor(data: Any, dtype: Any = None) -> Tensor:
    """`data` as a tensor, without a copy where none is needed."""
    if isinstance(data, Tensor):
        return data if dtype is None or data.dtype == dtype else data.to(dtype)
    if is_array(data):
        return Tensor(data if dtype is None else data.astype(dtype, copy=False))
    return tensor(data, dtype)


def from_numpy(array: Array) -> Tensor:
    """A tensor that shares memory with `array`."""
    return Tensor(array)


def _plain(data: Any) -> Any:
    if isinstance(data, Tensor):
        return host(data.data)
    if isinstance(data, list | tuple):
        return [_plain(x) for x in data]
    return data


def _shape(shape: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape


def zeros(*shape: Any, dtype: Any = default_dtype, requires_grad: bool = False) -> Tensor:
    """Zeros of the given shape."""
    return Tensor(np.zeros(_shape(shape), dtype), requires_grad)


def ones(*shape: Any, dtype: Any = default_dtype, requires_grad: bool = False) -> Tensor:
    """Ones of the given shape."""
    return Tensor(np.ones(_shape(shape), dtype), requires_grad)


def empty(*shape: Any, dtype: Any = default_dtype, requires_grad: bool = False) -> Tensor:
    """Memory of the given shape, not initialised."""
    return Tensor(np.empty(_shape(shape), dtype), requires_grad)


def full(
    shape: tuple[int, ...], value: float, dtype: Any = default_dtype, requires_grad: bool = False
) -> Tensor:
    """One value everywhere."""
    return Tensor(np.full(shape, value, dtype), requires_grad)


def zeros_like(x: Tensor, dtype: Any = None) -> Tensor:
    """Zeros with the shape and type of `x`."""
    return Tensor(np.zeros_like(x.data, dtype=dtype))


def ones_like(x: Tensor, dtype: Any = None) -> Tensor:
    """Ones with the shape and type of `x`."""
    return Tensor(np.ones_like(x.data, dtype=dtype))


def arange(*args: Any, dtype: Any = None) -> Tensor:
    """start, start + step, ... below stop, as NumPy's arange; float32 if an argument is a float."""
    if dtype is None:
        dtype = default_dtype if any(isinstance(a, float) for a in args) else int64
    return Tensor(np.arange(*args, dtype=dtype))


def randn(
    *shape: Any, generator: Any = None, dtype: Any = default_dtype, requires_grad: bool = False
) -> Tensor:
    """Independent standard normal numbers, drawn from `generator` or the default one."""
    g = generator or default_generator()
    return Tensor(g.standard_normal(_shape(shape)).astype(dtype), requires_grad)


def rand(
    *shape: Any, generator: Any = None, dtype: Any = default_dtype, requires_grad: bool = False
) -> Tensor:
    """Independent numbers, uniform on [0, 1)."""
    g = generator or default_generator()
    return Tensor(g.random(_shape(shape)).astype(dtype), requires_grad)


def randint(low: int, high: int, shape: tuple[int, ...], generator: Any = None) -> Tensor:
    """Independent integers, uniform on low, ..., high - 1."""
    return Tensor((generator or default_generator()).integers(low, high, size=shape))
