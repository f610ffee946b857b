"""An array "on the GPU" for tests without one: NumPy inside, and outside what CuPy allows, no more.

Refused, as CuPy refuses it (its user guide, "Differences between CuPy and NumPy"; `cupy_signatures.csv`
is read from CuPy itself):

- to become an array of NumPy without being asked; `.get()` asks;
- to meet an array of NumPy, or a list where an array is meant, in an operation;
- functions that CuPy lacks, and arguments that its versions do not take, `where` of a ufunc among them;
- types that CuPy lacks: objects, text, dates, long double.

As in CuPy, results are arrays, also single numbers; integers of an index outside their axis wrap around; an
item is a view, also a single one.

Refused beyond CuPy, because it would wait for the GPU or copy to it unseen: `float(x)`, `int(x)`, `bool(x)`
(`.item()` says it), an array of NumPy as an index.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import cupy_signatures
import numpy as np

KNOWN = cupy_signatures.known()
TYPES = frozenset("?bBhHiIlLqQefdFD")
SCATTER = ("int32", "uint32", "uint64", "float16", "float32", "float64")  # dtypes of add.at
LISTS = frozenset(  # arguments that are lists of arrays
    "tup arys xi operands arrays args *arys *xi *operands *args".split()  # noqa: SIM905
)
PLAIN = frozenset(  # arguments that are lists of numbers
    """axis axes axes1 shape newshape *shape *axes pad_width reps shift indices_or_sections source destination
    repeats ord start **kwargs""".split()  # noqa: SIM905
)
HOST = frozenset(
    """ndim shape size result_type can_cast iscomplexobj isrealobj isscalar shares_memory
    may_share_memory""".split()  # noqa: SIM905
)
"""Functions whose result is a number of Python, also in CuPy."""
CALL, REDUCE = {"out", "dtype", "casting"}, {"out", "dtype", "axis", "keepdims"}


class ndarray:
    """An array on the GPU."""

    __slots__ = ("__weakref__", "_host")

    def __init__(self, host: Any) -> None:
        self._host = np.asarray(host)
        if self._host.dtype.char not in TYPES:
            raise ValueError(f"Unsupported dtype {self._host.dtype}")

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
        name = ufunc.__name__
        if ("ufunc", name) not in KNOWN:
            return NotImplemented
        if method in ("reduce", "accumulate", "reduceat") and name not in ("add", "multiply"):
            raise NotImplementedError(f"`cupy_{name}.{method}` is not supported yet")
        if unknown := options.keys() - (CALL if method in ("__call__", "outer") else REDUCE):
            raise TypeError(f"Wrong arguments {unknown}")
        if method == "at":
            a, index, value = inputs
            if name not in ("add", "maximum", "minimum"):
                raise NotImplementedError(f"`cupy_{name}.at` is not supported yet")
            if a.dtype not in SCATTER:
                raise TypeError(f"{name}.at: CuPy has none for {a.dtype}")
            return ufunc.at(a._host, place(a.shape, index), operand(value))
        out = options.pop("out", ())
        if len(out) > 1:
            raise ValueError("The 'out' parameter must have exactly one array value")
        if out:
            options["out"] = array(out[0])
        found = getattr(ufunc, method)(*map(operand, inputs), **options)
        return out[0] if out else wrap(found)

    def __array_function__(self, function: Any, _: Any, args: Any, options: Any) -> Any:
        name = ".".join([*function.__module__.split(".")[1:], function.__name__])
        if ("function", name) not in KNOWN:
            return NotImplemented
        return call("function", name, function, args, options)

    def __getattr__(self, name: str) -> Any:
        if ("method", name) not in KNOWN or not hasattr(np.ndarray, name):
            raise AttributeError(f"'cupy.ndarray' object has no attribute {name!r}")
        return lambda *args, **options: call(
            "method", name, getattr(self._host, name), args, options
        )

    def astype(self, dtype: Any, copy: bool = True) -> ndarray:
        """Converted; itself if nothing changes and no copy is asked for."""
        return self if not copy and self.dtype == dtype else ndarray(self._host.astype(dtype))

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> ndarray:
        return ndarray(self._host[place(self.shape, index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._host[place(self.shape, index)] = operand(value)


ndarray.__module__ = "cupy"


def array(x: Any) -> np.ndarray:
    """What is inside an array on the GPU; nothing else will do."""
    if not isinstance(x, ndarray):
        raise TypeError(f"Unsupported type {type(x)}: an array of CuPy is needed")
    return x._host


def operand(x: Any) -> Any:
    """What is inside, or a number; an array of NumPy among the arguments is on the wrong device."""
    if isinstance(x, ndarray):
        return x._host
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {np.ndarray}: an array of NumPy meets one of CuPy")
    if not isinstance(x, bool | int | float | complex | np.generic):
        raise TypeError(f"Unsupported type {type(x)}: neither an array of CuPy nor a number")
    return x


def place(shape: tuple[int, ...], index: Any) -> tuple[Any, ...]:
    """An index for the array inside. CuPy does not look at integers of an index array: they wrap around."""
    parts = index if isinstance(index, tuple) else (index,)
    found: list[Any] = []
    for part in parts:
        if isinstance(part, np.ndarray):
            raise TypeError("an array of NumPy as an index of one of CuPy: it would be copied")
        a = part._host if isinstance(part, ndarray) else part
        found.append(np.asarray(a, int if a == [] else None) if isinstance(part, list) else a)
    used = sum(_axes(a) for a in found)
    axis = 0
    for i, a in enumerate(found):
        if a is Ellipsis:
            axis += len(shape) - used
        elif isinstance(a, np.ndarray) and a.dtype.kind in "iu" and axis < len(shape):
            found[i] = a % shape[axis] if shape[axis] else a
        axis += _axes(a)
    return tuple(found) if any(a is Ellipsis for a in found) else (*found, Ellipsis)


def _axes(part: Any) -> int:
    """How many axes a part of an index takes."""
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    return part.ndim if isinstance(part, np.ndarray) and part.dtype.kind == "b" else 1


def wrap(x: Any) -> Any:
    """Results stay on the GPU, also single numbers."""
    if isinstance(x, tuple | list):
        return type(x)(map(wrap, x))
    return ndarray(x) if isinstance(x, np.ndarray | np.generic | bool | int) else x


def _argument(name: str, x: Any) -> Any:
    """An argument as NumPy's function takes it, if CuPy's takes it."""
    if isinstance(x, tuple | list):
        if name in LISTS:
            return type(x)(map(operand, x))
        if name not in PLAIN:
            raise TypeError(f"{name}: Unsupported type {type(x)}")
        return type(x)(_argument(name, part) for part in x)
    return operand(x) if isinstance(x, ndarray | np.ndarray) else x


def call(kind: str, name: str, function: Callable[..., Any], args: Any, options: Any) -> Any:
    """CuPy's function or method of that name, if it takes these arguments."""
    names = KNOWN[kind, name]
    stars = "**kwargs" in names
    if unknown := [key for key in options if key not in names and not stars]:
        raise TypeError(f"{name}() got an unexpected keyword argument {unknown[0]!r}")
    rest = names[0] if names and names[0].startswith("*") else ""
    if len(args) > len(names) and not rest:
        raise TypeError(
            f"{name}() takes {len(names)} positional arguments but {len(args)} were given"
        )
    given = [_argument(rest or names[i], x) for i, x in enumerate(args)]
    out = options.get("out")
    named = {key: _argument(key if key in names else "**kwargs", x) for key, x in options.items()}
    found = function(*given, **named)
    if isinstance(out, ndarray):
        return out
    return found if name in HOST else wrap(found)


def _operator(name: str, ufunc: Any) -> None:
    """a + b, b + a and a += b, through the ufunc; another class may say that it is its business."""

    def forward(self: ndarray, other: Any) -> Any:
        if getattr(type(other), "__array_ufunc__", 0) is None:
            return NotImplemented
        return wrap(ufunc(self._host, operand(other)))

    def reverse(self: ndarray, other: Any) -> Any:
        return wrap(ufunc(operand(other), self._host))

    def inplace(self: ndarray, other: Any) -> Any:
        ufunc(self._host, operand(other), out=self._host, casting="same_kind")
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
    setattr(ndarray, f"__{_name}__", lambda a, b, f=_ufunc: wrap(f(a._host, operand(b))))
ndarray.__neg__ = lambda a: ndarray(-a._host)  # type: ignore[attr-defined]
ndarray.__abs__ = lambda a: ndarray(abs(a._host))  # type: ignore[attr-defined]
ndarray.__invert__ = lambda a: ndarray(~a._host)  # type: ignore[attr-defined]
ndarray.__hash__ = None  # type: ignore[assignment]
