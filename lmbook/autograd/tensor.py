"""`Tensor`: an array that remembers how it was computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lmbook.autograd import graph
from lmbook.autograd.explain import entries, explain, nonfinite
from lmbook.autograd.graph import Node, anomaly_mode, grad_mode
from lmbook.autograd.methods import Methods
from lmbook.autograd.primitives import PRIMITIVES
from lmbook.backend import Array, DTypeError, GradientError, ShapeError, float32, float64, table
from lmbook.backend.memory import asarray, host, local, writeable

VIEWS = {"reshape", "permute", "expand", "flip", "getitem"}
"""Primitives whose result may share memory with their input."""


class Tensor(Methods):
    """An n-dimensional array with, if asked for, a gradient.

    `data` is the array, `grad` the gradient accumulated by `backward` (a Tensor or None),
    `requires_grad` whether operations on it are recorded.
    """

    __slots__ = ("__weakref__", "_hooks", "_leaf", "_node", "_version", "data", "grad")
    __array_ufunc__ = None  # array + tensor is the tensor's business

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        self.data: Array = (
            data if type(data) is np.ndarray and not table.on_gpu() else asarray(data)
        )
        self.grad: Tensor | None = None
        self._node: Node | None = None
        self._version = [0]
        self._leaf = False
        if requires_grad:
            self.requires_grad = True

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        """Type of the entries."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.data.ndim

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient flows to this tensor."""
        return self._leaf or self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self.data.dtype.kind not in "fc":
            raise DTypeError(
                f"requires_grad: only floating-point tensors have gradients, this one is "
                f"{self.dtype}; convert it first, e.g. x.float()"
            )
        if not value and self._node is not None:
            raise GradientError(
                "requires_grad: a computed tensor cannot be cut off; use x.detach()"
            )
        self._leaf = value and self._node is None

    @property
    def is_leaf(self) -> bool:
        """Whether nobody computed it: an input or a parameter."""
        return self._node is None

    @property
    def grad_fn(self) -> Node | None:
        """The operation that made it, if recorded."""
        return self._node

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of one axis."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """Number of axes."""
        return self.data.ndim

    def numel(self) -> int:
        """Number of entries."""
        return self.data.size

    def numpy(self) -> Array:
        """The array itself, without a copy, or a copy from the GPU; not while a gradient is attached."""
        if self.requires_grad:
            raise GradientError("numpy: the tensor requires a gradient; use x.detach().numpy()")
        return host(self.data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def item(self) -> Any:
        """The single entry as a Python number."""
        if self.data.size != 1:
            raise ShapeError(f"item: needs one entry, the tensor has shape {self.shape}")
        return self.data.item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self.data.tolist()

    def detach(self) -> Tensor:
        """The same values, outside the graph."""
        result = Tensor(self.data)
        result._version = self._version
        return result

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("len: a tensor without axes has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        if self.data.size != 1:
            raise ShapeError(
                f"bool: a tensor of shape {self.shape} has no single truth value; "
                "use .any() or .all()"
            )
        return bool(self.data.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        return host(self.data).__index__()

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        text = entries(self.data)
        kind = "" if self.dtype in (float32, np.int64, np.bool_) else f", dtype={self.dtype}"
        grad = f", grad_fn=<{self._node.name}>" if self._node else ", requires_grad=True"
        return f"tensor({text}{kind}{grad if self.requires_grad else ''})"

    # Gradients

    def backward(self, gradient: Any = None, retain_graph: bool = False) -> None:
        """Add d(self)/d(leaf) to `.grad` of every leaf that requires it.

        `gradient` is the gradient of whatever is wanted with respect to this tensor; it may be left
        out for a scalar, whose own gradient is 1. The graph is freed unless `retain_graph`.
        """
        seed = start(self, gradient)
        if self._node is None:
            _accumulate(self, seed, False)
            return graph.run_hooks(self)
        graph.backward(self._node, seed, _accumulate, retain_graph)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def _change(self, operation: str) -> Array:
        # the graph notices changes in place through the version counter
        if grad_mode.get() and self.requires_grad:
            raise GradientError(
                f"{operation}: changes in place a tensor of shape {self.shape} that requires a "
                "gradient; make a new one (x = x + y), or change it inside `with no_grad():`"
            )
        if not writeable(self.data):
            raise GradientError(
                f"{operation}: this tensor is a read-only view (from expand or sum's gradient); "
                "copy it first with x.clone()"
            )
        self._version[0] += 1
        return self.data

    def _assign(self, operation: str, value: Any, ufunc: Callable[..., Any] | None) -> Tensor:
        data, value = self._change(operation), local(raw(value))
        try:
            if ufunc is None:
                np.copyto(data, value, casting="same_kind")
            else:
                ufunc(data, value, out=data, casting="same_kind")
        except (ValueError, TypeError) as error:
            self._version[0] -= 1  # nothing was changed
            raise explain(operation, (data, value), error) from None
        return self

    def add_(self, other: Any) -> Tensor:
        """Add in place."""
        return self._assign("add_", other, np.add)

    def sub_(self, other: Any) -> Tensor:
        """Subtract in place."""
        return self._assign("sub_", other, np.subtract)

    def mul_(self, other: Any) -> Tensor:
        """Multiply in place."""
        return self._assign("mul_", other, np.multiply)

    def div_(self, other: Any) -> Tensor:
        """Divide in place."""
        return self._assign("div_", other, np.divide)

    def copy_(self, other: Any) -> Tensor:
        """Overwrite with other values."""
        return self._assign("copy_", other, None)

    def fill_(self, value: float) -> Tensor:
        """Overwrite with one value."""
        return self._assign("fill_", value, None)

    def zero_(self) -> Tensor:
        """Overwrite with zeros."""
        return self._assign("zero_", 0, None)

    __iadd__, __isub__, __imul__, __itruediv__ = add_, sub_, mul_, div_

    def __setitem__(self, index: Any, value: Any) -> None:
        data = self._change("setitem")
        index, value = raw_index(index), local(raw(value))
        try:
            data[index] = value
        except (ValueError, IndexError) as error:
            self._version[0] -= 1  # nothing was changed
            raise explain("setitem", (data, value), error) from None

    def _op(self, name: str, *others: Any, **params: Any) -> Tensor:
        return apply(name, self, *others, **params)

    def _op_on(self, name: str, *inputs: Any, **params: Any) -> Tensor:
        return apply(name, *inputs, **params)

    def _constant(self, data: Any) -> Tensor:
        return Tensor(data)

    def __add__(self, other: Any) -> Tensor:
        return apply("add", self, other)

    def __sub__(self, other: Any) -> Tensor:
        return apply("sub", self, other)

    def __mul__(self, other: Any) -> Tensor:
        return apply("mul", self, other)

    def __truediv__(self, other: Any) -> Tensor:
        return apply("div", self, other)

    def __pow__(self, other: Any) -> Tensor:
        return apply("pow", self, other)

    def __matmul__(self, other: Any) -> Tensor:
        return apply("matmul", self, other)

    def __radd__(self, other: Any) -> Tensor:
        return apply("add", other, self)

    def __rsub__(self, other: Any) -> Tensor:
        return apply("sub", other, self)

    def __rmul__(self, other: Any) -> Tensor:
        return apply("mul", other, self)

    def __rtruediv__(self, other: Any) -> Tensor:
        return apply("div", other, self)

    def __rpow__(self, other: Any) -> Tensor:
        return apply("pow", asarray(other, self.dtype), self)

    def __rmatmul__(self, other: Any) -> Tensor:
        return apply("matmul", other, self)

    def __neg__(self) -> Tensor:
        return apply("neg", self)

    def __getitem__(self, index: Any) -> Tensor:
        return apply("getitem", self, index=raw_index(index))

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        return compare("eq", np.equal, self, other)

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return compare("ne", np.not_equal, self, other)

    def __lt__(self, other: Any) -> Tensor:
        return compare("lt", np.less, self, other)

    def __le__(self, other: Any) -> Tensor:
        return compare("le", np.less_equal, self, other)

    def __gt__(self, other: Any) -> Tensor:
        return compare("gt", np.greater, self, other)

    def __ge__(self, other: Any) -> Tensor:
        return compare("ge", np.greater_equal, self, other)

    def __invert__(self) -> Tensor:
        return Tensor(~self.data)

    def __and__(self, other: Any) -> Tensor:
        return compare("and", np.bitwise_and, self, other)

    def __or__(self, other: Any) -> Tensor:
        return compare("or", np.bitwise_or, self, other)


def raw(x: Any) -> Any:
    """The array of a tensor; anything else as it is."""
    return x.data if isinstance(x, Tensor) else x


def raw_index(index: Any) -> Any:
    """An index with tensors replaced by their arrays."""
    if isinstance(index, tuple):
        return tuple(local(raw(i)) for i in index)
    return local(raw(index))


def compare(name: str, ufunc: Callable[..., Any], a: Any, b: Any) -> Tensor:
    """A result that has no gradient."""
    try:
        return Tensor(ufunc(local(raw(a)), local(raw(b))))
    except (ValueError, TypeError) as error:
        raise explain(name, (raw(a), raw(b)), error) from None


def apply(name: str, *inputs: Any, **params: Any) -> Tensor:
    """Run primitive `name` on tensors (or arrays and numbers, as constants) and record it."""
    arrays = [
        x.data if isinstance(x, Tensor) else x.item() if isinstance(x, np.floating) else x
        for x in inputs
    ]  # a NumPy number is taken as Python's, so that it does not widen float32
    if table.on_gpu():
        arrays = [local(a) for a in arrays]
    try:
        out, pull = PRIMITIVES[name](*arrays, **params)
    except Exception as error:
        if (told := explain(name, tuple(arrays), error, params.get("shape"))) is error:
            raise
        raise told from None
    if out.dtype is float64 and not any(getattr(a, "dtype", float32) == float64 for a in arrays):
        # integers and numbers make float32, as in PyTorch
        out = out.astype(params.get("dtype", float32))
    if anomaly_mode.get():
        nonfinite(name, out, arrays)
    result = Tensor(out)
    if name in VIEWS and isinstance(inputs[0], Tensor):
        result._version = inputs[0]._version
    if grad_mode.get():
        edges = tuple([
            (x._node or (x if x._leaf else None)) if isinstance(x, Tensor) else None
            for x in inputs
        ])  # fmt: skip
        if any(edges_ is not None for edges_ in edges) and out.dtype.kind == "f":
            held = [*(x for x in inputs if isinstance(x, Tensor)), result]
            guards = tuple([(x._version, x._version[0]) for x in held])
            result._node = Node(name, edges, pull, out, guards)
    return result


def start(output: Tensor, gradient: Any) -> Array:
    """The gradient that a backward pass from `output` begins with: what is given, or 1."""
    if not output.requires_grad:
        raise GradientError(
            "backward: the tensor requires no gradient: nothing it was computed from has "
            "requires_grad=True, or it was computed inside no_grad()"
        )
    if gradient is None:
        if output.data.size != 1:
            raise GradientError(
                f"backward: the output has shape {output.shape}; a gradient starts from a scalar. "
                "Reduce it first, e.g. y.sum() or y.mean(), or pass backward(gradient=...)"
            )
        return np.ones_like(output.data)
    seed = asarray(raw(gradient), dtype=output.dtype)
    if seed.shape != output.shape:
        raise ShapeError(
            f"backward: gradient has shape {seed.shape}, the output {output.shape}; they must agree"
        )
    return seed


def _accumulate(leaf: Tensor, g: Array, owned: bool) -> None:
    if leaf.grad is None:
        leaf.grad = Tensor(g if owned else g.copy())
    else:
        leaf.grad._change("backward")
        np.add(leaf.grad.data, g, out=leaf.grad.data)
