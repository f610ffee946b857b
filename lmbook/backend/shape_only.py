"""An array that has a shape and a type, and no values: what a model of any size is built from.

Whatever would need a value raises `ShapeOnlyError`, so that nothing is computed by mistake.
"""

import math
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np


class ShapeOnlyError(RuntimeError):
    """A value was asked for that was never allocated."""


def refusal(what: str) -> ShapeOnlyError:
    """The error for an operation that needs values."""
    return ShapeOnlyError(
        f"{what}: there are no values, the model was built inside shapes_only(); give it some with "
        "model.load_state_dict(state, assign=True), or nn.init.materialize(model)"
    )


class ShapeOnly:
    """Stands for an array of `shape` and `dtype`; `fills` keeps how it was to be filled, in order."""

    __slots__ = ("dtype", "fills", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: Any = np.float32) -> None:
        self.shape, self.dtype = tuple(map(int, shape)), np.dtype(dtype)
        self.fills: list[tuple[int, Callable[..., Any]]] = []

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that its entries would take."""
        return self.size * self.dtype.itemsize

    def astype(self, dtype: Any, copy: bool = True) -> "ShapeOnly":
        """The same shape in another type."""
        other = ShapeOnly(self.shape, dtype)
        other.fills = list(self.fills)
        return other

    def __repr__(self) -> str:
        return f"ShapeOnly(shape={self.shape}, dtype={self.dtype})"

    def _refuse(self, what: str) -> NoReturn:
        raise refusal(f"{what}, shape {self.shape}, dtype {self.dtype}")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        self._refuse("array")

    def __array_ufunc__(self, ufunc: Any, *rest: Any, **options: Any) -> NoReturn:
        self._refuse(ufunc.__name__)

    def __array_function__(self, function: Any, *rest: Any) -> NoReturn:
        self._refuse(function.__name__)

    def __getitem__(self, index: Any) -> NoReturn:
        self._refuse("getitem")

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        self._refuse("setitem")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # what Python asks by itself, as copying does
            raise AttributeError(name)
        self._refuse(name)


def _operator(name: str) -> Callable[..., NoReturn]:
    return lambda self, *others: self._refuse(name)


for _name in ("add", "sub", "mul", "truediv", "pow", "matmul"):
    for _prefix in ("__", "__r", "__i"):
        setattr(ShapeOnly, f"{_prefix}{_name}__", _operator(_name))
for _name in ("neg", "abs", "lt", "le", "gt", "ge", "len", "iter", "bool", "float", "int"):
    setattr(ShapeOnly, f"__{_name}__", _operator(_name))
