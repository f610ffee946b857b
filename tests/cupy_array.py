"""An array "on the GPU" for tests without one: NumPy inside, and outside what CuPy allows, no more.

Refused, as CuPy refuses it: to become an array of NumPy without being asked (`.get()` asks), to meet an
array of NumPy in an operation, functions that CuPy lacks, and arguments its versions do not take.
Refused beyond CuPy: `float(x)`, `int(x)`, `bool(x)`, which would wait for the GPU unseen; `.item()` says it.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np

FUNCTIONS = frozenset(
    """all allclose amax amin any append arange argmax argmin argsort atleast_1d atleast_2d bincount
    broadcast_arrays broadcast_to clip concatenate copyto count_nonzero cumprod cumsum diag diagonal
    dot einsum empty_like expand_dims flatnonzero flip full_like hstack inner isclose linalg.norm
    linalg.qr linalg.solve max mean median meshgrid min moveaxis nan_to_num nonzero ones_like outer pad
    prod ravel repeat reshape roll rollaxis round searchsorted sort split squeeze stack std sum swapaxes
    take take_along_axis tensordot tile trace transpose tril triu unique var vdot vstack where
    zeros_like""".split()  # noqa: SIM905
)
REFUSED = {  # keywords of NumPy's that CuPy's function or method of that name does not take
    **{key: {"initial", "where"} for key in ("max", "min", "amax", "amin")},
    **{key: {"initial", "where"} for key in ("sum", "prod")},
    **{key: {"where"} for key in ("mean", "std", "var", "any", "all")},
}
METHODS = frozenset(
    """all any argmax argmin argsort astype clip copy cumsum diagonal dot fill flatten max mean min
    nonzero prod ravel repeat reshape round sort squeeze std sum swapaxes take trace transpose var
    view""".split()  # noqa: SIM905
)
SCATTER = ("int32", "uint32", "uint64", "float16", "float32", "float64")  # dtypes of add.at


class ndarray:
    """An array on the GPU."""

    __slots__ = ("__weakref__", "_host")

    def __init__(self, host: Any) -> None:
        self._host = np.asarray(host)

    dtype = property(lambda self: self._host.dtype)
    shape = property(lambda self: self._host.shape)
    strides = property(lambda self: self._host.strides)
    size = property(lambda self: self._host.size)
    ndim = property(lambda self: self._host.ndim)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    T = property(lambda self: ndarray(self._host.T))

    @property
    def flags(self) -> Any:
        """CuPy's flags know contiguity and ownership, not `writeable`."""
        f = self._host.flags
        return types.SimpleNamespace(
            c_contiguous=f.c_contiguous, f_contiguous=f.f_contiguous, owndata=f.owndata
        )

    # To the host, when asked

    def get(self) -> np.ndarray:
        return self._host.copy()

    def item(self) -> Any:
        return self._host.item()

    def tolist(self) -> Any:
        return self._host.tolist()

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a "
            "NumPy array explicitly."
        )

    def _unseen(self, *_: Any) -> Any:
        raise TypeError("a Python number from an array on the GPU: say .item(), which waits for it")

    __bool__ = __int__ = __float__ = __index__ = __complex__ = _unseen

    def __repr__(self) -> str:
        return repr(self._host)

    def __format__(self, spec: str) -> str:
        return format(self._host.item() if self.ndim == 0 else self._host, spec)

    # NumPy's functions run CuPy's

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method not in ("__call__", "at", "reduce", "accumulate", "outer"):
            return NotImplemented
        if method == "at" and self.dtype not in SCATTER:
            raise TypeError(f"add.at: CuPy has none for {self.dtype}")
        out = options.pop("out", ())
        if len(out) > 1:
            raise ValueError("The 'out' parameter must have exactly one array value")
        if out and not isinstance(out[0], ndarray):
            raise TypeError(f"Unsupported type {type(out[0])}")
        options = unwrap(options)
        if out:
            options["out"] = out[0]._host
        found = getattr(ufunc, method)(*map(unwrap, inputs), **options)
        return out[0] if out else wrap(found)

    def __array_function__(self, function: Any, _: Any, args: Any, options: Any) -> Any:
        name = ".".join([*function.__module__.split(".")[1:], function.__name__])
        if name not in FUNCTIONS:
            return NotImplemented
        return call(name, function, args, options)

    def __getattr__(self, name: str) -> Any:
        if name not in METHODS:
            raise AttributeError(f"'cupy.ndarray' object has no attribute {name!r}")
        return lambda *args, **options: call(name, getattr(self._host, name), args, options)

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> ndarray:
        return ndarray(self._host[unwrap(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._host[unwrap(index)] = unwrap(value)


ndarray.__module__ = "cupy"


def unwrap(x: Any) -> Any:
    """What is inside; an array of NumPy among the arguments is on the wrong device."""
    if isinstance(x, ndarray):
        return x._host
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {np.ndarray}: an array of NumPy meets one of CuPy")
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return x
    if isinstance(x, tuple | list):
        return type(x)(map(unwrap, x))
    if isinstance(x, dict):
        return {k: unwrap(v) for k, v in x.items()}
    return x


def wrap(x: Any) -> Any:
    """Results stay on the GPU, also single numbers."""
    if isinstance(x, tuple | list):
        return type(x)(map(wrap, x))
    return ndarray(x) if isinstance(x, np.ndarray | np.generic) else x


def call(name: str, function: Callable[..., Any], args: Any, options: Any) -> Any:
    """CuPy's function of that name, if it takes these arguments."""
    if isinstance(out := options.get("out"), ndarray):
        function(*unwrap(tuple(args)), **unwrap(options))
        return out
    if unknown := REFUSED.get(name, set()) & options.keys():
        raise TypeError(f"{name}() got an unexpected keyword argument {min(unknown)!r}")
    return wrap(function(*unwrap(tuple(args)), **unwrap(options)))


def _operator(name: str, ufunc: Any) -> None:
    """a + b, b + a and a += b, through the ufunc."""

    def forward(self: ndarray, other: Any) -> Any:
        return wrap(ufunc(self._host, unwrap(other)))

    def reverse(self: ndarray, other: Any) -> Any:
        return wrap(ufunc(unwrap(other), self._host))

    def inplace(self: ndarray, other: Any) -> Any:
        ufunc(self._host, unwrap(other), out=self._host, casting="same_kind")
        return self

    for form, method in (("__{}__", forward), ("__r{}__", reverse), ("__i{}__", inplace)):
        setattr(ndarray, form.format(name), method)


for _name, _ufunc in {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide,
    "floordiv": np.floor_divide, "mod": np.remainder, "pow": np.power, "matmul": np.matmul,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "lshift": np.left_shift, "rshift": np.right_shift,
}.items():  # fmt: skip
    _operator(_name, _ufunc)
for _name, _ufunc in {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal,
}.items():  # fmt: skip
    setattr(ndarray, f"__{_name}__", lambda a, b, f=_ufunc: wrap(f(a._host, unwrap(b))))
ndarray.__neg__ = lambda a: ndarray(-a._host)  # type: ignore[attr-defined]
ndarray.__abs__ = lambda a: ndarray(abs(a._host))  # type: ignore[attr-defined]
ndarray.__invert__ = lambda a: ndarray(~a._host)  # type: ignore[attr-defined]
ndarray.__hash__ = None  # type: ignore[assignment]
