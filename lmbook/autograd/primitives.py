"""The table of primitives: for each, its value and its derivatives.

A rule takes arrays and returns the result and how to pull a gradient back: one function per
input, written as the textbook's derivative (the graph sums out broadcast axes), or a single
function `pull(g, needs)` for all inputs at once. Nothing else in the package knows a derivative of
an elementary operation.
"""

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np

from lmbook.backend import Array, ShapeError, asarray, is_array, on_gpu, table
from lmbook.backend.kernels.activation import relu, relu_backward
from lmbook.backend.kernels.dense import product
from lmbook.backend.kernels.order import cumsum
from lmbook.backend.memory import check_index, inside

_LISTS = np.ndarray, list
Rule = Callable[..., tuple[Any, Any]]
PRIMITIVES: dict[str, Rule] = {}


class Part:
    """A gradient that is zero but at `index`: what indexing sends back, to be added up in place."""

    __slots__ = ("g", "index", "repeats")

    def __init__(self, g: Array, index: Any, repeats: bool) -> None:
        self.g, self.index, self.repeats = g, index, repeats

    def add_to(self, d: Array) -> Array:
        """Add it to a gradient of the full shape; an index may name an entry several times."""
        if self.repeats:
            np.add.at(d, self.index, self.g)
        else:
            d[self.index] += self.g
        return d


def rule(function: Rule) -> Rule:
    """Enter `function` into the table under its name, less a trailing underscore."""
    PRIMITIVES[function.__name__.rstrip("_")] = function
    return function


def _along(x: Array, axis: Any) -> Callable[[Array], Array]:
    """Put reduced axes back, so that a reduction's gradient lines up with its input."""
    if axis is None:
        return lambda g: g.reshape((1,) * x.ndim)
    return lambda g: np.expand_dims(g, axis) if g.ndim < x.ndim else g


# Arithmetic. `a`, `b` are arrays or Python numbers; g is the gradient of the result.

PRIMITIVES.update(
    add=lambda a, b: (a + b, (lambda g: g, lambda g: g)),
    sub=lambda a, b: (a - b, (lambda g: g, lambda g: -g)),
    mul=lambda a, b: (a * b, (lambda g: g * b, lambda g: g * a)),
    div=lambda a, b: (a / b, (lambda g: g / b, lambda g: -g * a / (b * b))),
    neg=lambda a: (-a, (lambda g: -g,)),
    maximum=lambda a, b: (np.maximum(a, b), _pick(a, b, np.greater)),
    minimum=lambda a, b: (np.minimum(a, b), _pick(a, b, np.less)),
    where=lambda m, a, b: (
        np.where(m, a, b), (None, lambda g: np.where(m, g, 0), lambda g: np.where(m, 0, g))
    ),
)  # fmt: skip

# Functions of one variable: y is the value, so that derivatives can reuse it.

PRIMITIVES.update(
    exp=lambda a: (y := np.exp(a), (lambda g: g * y,)),
    log=lambda a: (np.log(a), (lambda g: g / a,)),
    log1p=lambda a: (np.log1p(a), (lambda g: g / (1 + a),)),
    sqrt=lambda a: (y := np.sqrt(a), (lambda g: g / (2 * y),)),
    sin=lambda a: (np.sin(a), (lambda g: g * np.cos(a),)),
    cos=lambda a: (np.cos(a), (lambda g: -g * np.sin(a),)),
    tanh=lambda a: (y := np.tanh(a), (lambda g: g * (1 - y * y),)),
    abs=lambda a: (np.abs(a), (lambda g: g * np.sign(a),)),
    relu=lambda a: (y := relu(a), (lambda g: relu_backward(g, y),)),
    clip=lambda a, low, high: (
        np.clip(a, low, high), (lambda g: g * _inside(a, low, high), None, None)
    ),
    cast=lambda a, dtype: (a.astype(dtype), (lambda g: g.astype(a.dtype),)),
    clone=lambda a: (a.copy(), (lambda g: g,)),
)  # fmt: skip

# Shape: the gradient takes the way back.

PRIMITIVES.update(
    reshape=lambda a, shape: (a.reshape(shape), (lambda g: g.reshape(a.shape),)),
    permute=lambda a, axes: (
        a.transpose(axes),
        (lambda g: g.transpose(sorted(range(len(axes)), key=axes.__getitem__)),),
    ),
    expand=lambda a, shape: (np.broadcast_to(a, shape), (lambda g: g,)),
    flip=lambda a, axis: (np.flip(a, axis), (lambda g: np.flip(g, axis),)),
)

# Reductions.

PRIMITIVES.update(
    sum=lambda a, axis=None, keepdims=False: (
        a.sum(axis=axis, keepdims=keepdims),
        (lambda g: np.broadcast_to(_along(a, axis)(g), a.shape),),
    ),
    mean=lambda a, axis=None, keepdims=False: (
        a.mean(axis=axis, keepdims=keepdims),
        (lambda g: np.broadcast_to(_along(a, axis)(g) / _count(a, axis), a.shape),),
    ),
    cumsum=lambda a, axis: (
        cumsum(a, axis), (lambda g: np.flip(cumsum(np.flip(g, axis), axis), axis),)
    ),
)  # fmt: skip


def _count(a: Array, axis: Any) -> int:
    if axis is None:
        return a.size
    axes = axis if isinstance(axis, tuple) else (axis,)
    return int(np.prod([a.shape[i] for i in axes]))


def _inside(a: Array, low: Any, high: Any) -> Any:
    return ((a >= low) if low is not None else True) & ((a <= high) if high is not None else True)


def _pick(a: Any, b: Any, wins: Any) -> tuple[Callable[[Array], Array], ...]:
    """The larger (or smaller) operand takes the gradient; a tie is shared."""

    def share(x: Any, y: Any) -> Callable[[Array], Array]:
        return lambda g: g * (wins(x, y) + (np.equal(x, y) * 0.5).astype(g.dtype))

    return share(a, b), share(b, a)


@rule
def pow(a: Any, b: Any) -> tuple[Any, Any]:
    """a ** b."""
    y = a**b
    if not is_array(b):
        return y, (lambda g: g * (b * a ** (b - 1)) if b != 0 else g * 0, None)

    def to_exponent(g: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(y == 0, 0, g * y * np.log(a)).astype(g.dtype)

    return y, (lambda g: g * b * a ** (b - 1), to_exponent)


@rule
def sigmoid(a: Array) -> tuple[Array, Any]:
    """1 / (1 + exp(-a)), as (1 + tanh(a / 2)) / 2, which cannot overflow."""
    y = np.tanh(a * 0.5)
    y *= 0.5
    y += 0.5
    return y, (lambda g: g * (y * (1 - y)),)


@rule
def amax(a: Array, axis: Any = None, keepdims: bool = False) -> tuple[Array, Any]:
    """Largest element; entries that tie share the gradient equally."""
    y = a.max(axis=axis, keepdims=keepdims)

    def pull(g: Array) -> Array:
        top = a == _along(a, axis)(y)
        return top * (_along(a, axis)(g) / top.sum(axis=axis, keepdims=True))

    return y, (pull,)


@rule
def matmul(a: Array, b: Array) -> tuple[Array, Any]:
    """a @ b for vectors, matrices and stacks of matrices."""
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError("matmul: needs vectors or matrices; use * to multiply by a number")
    if a.ndim > 2 and b.ndim == 2:  # one large product instead of many small ones
        rows = a.reshape(-1, a.shape[-1])
        y = product(rows, b).reshape(*a.shape[:-1], b.shape[-1])

        def stacked(g: Array, needs: tuple[bool, ...]) -> tuple[Array | None, Array | None]:
            flat = g.reshape(-1, g.shape[-1])
            return (
                product(flat, b.T).reshape(a.shape) if needs[0] else None,
                product(rows.T, flat) if needs[1] else None,
            )

        return y, stacked
    left, right = np.atleast_2d(a), b if b.ndim > 1 else b[:, None]

    def times(x: Array, y: Array) -> Array:
        return product(x, y) if x.ndim == y.ndim == 2 else x @ y

    def full(g: Array) -> Array:
        g = g[..., None] if b.ndim == 1 else g
        return g[..., None, :] if a.ndim == 1 else g

    def to_a(g: Array) -> Array:
        d = times(full(g), np.swapaxes(right, -1, -2))
        return d[..., 0, :] if a.ndim == 1 else d

    def to_b(g: Array) -> Array:
        d = times(np.swapaxes(left, -1, -2), full(g))
        return d[..., 0] if b.ndim == 1 else d

    return times(a, b), (to_a, to_b)


@rule
def getitem(a: Array, index: Any) -> tuple[Array, Any]:
    """a[index], for slices, integers, masks and integer arrays."""
    parts = index if isinstance(index, tuple) else (index,)
    if table.gpu:
        check_index(a.shape, index)
    fancy = any(isinstance(i, _LISTS) or (table.gpu and on_gpu(i)) for i in parts)

    return a[index], (lambda g: Part(g, index, fancy),)


@rule
def gather(a: Array, index: Array, axis: int) -> tuple[Array, Any]:
    """Entry index[..., j, ...] along `axis`, for every other position."""

    def pull(g: Array) -> Array:
        d = np.zeros_like(a, dtype=g.dtype)
        grid: Any = np.indices(index.shape, sparse=True)
        position: list[Any] = [asarray(i) for i in grid]
        position[axis] = index
        np.add.at(d, tuple(position), g)
        return d

    return np.take_along_axis(a, inside(index, a.shape[axis]), axis), (pull, None)


@rule
def cat(*arrays: Array, axis: int = 0) -> tuple[Array, Any]:
    """Join along an existing axis."""
    stops = list(accumulate(a.shape[axis] for a in arrays))[:-1]

    def pull(g: Array, needs: tuple[bool, ...]) -> list[Array]:
        return [part.copy() for part in np.split(g, stops, axis)]

    return np.concatenate(arrays, axis), pull


@rule
def stack(*arrays: Array, axis: int = 0) -> tuple[Array, Any]:
    """Join along a new axis."""

    def pull(g: Array, needs: tuple[bool, ...]) -> list[Array]:
        return [np.take(g, i, axis) for i in range(len(arrays))]

    return np.stack(arrays, axis), pull


@rule
def pad(a: Array, widths: Any, value: float = 0.0) -> tuple[Array, Any]:
    """Surround with a constant; `widths` holds (before, after) for each axis."""
    inner = tuple(slice(b, b + n) for (b, _), n in zip(widths, a.shape, strict=True))
    return np.pad(a, widths, constant_values=value), (lambda g: g[inner],)


@rule
def einsum(*arrays: Array, equation: str) -> tuple[Array, Any]:
    """Sum of products over named axes; each operand's gradient is again such a sum."""
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not arrow or "." in equation or any(len(set(t)) < len(t) for t in terms):
        raise ShapeError(
            f"einsum: {equation!r}: write the output after '->', without '...' or repeated letters "
            "in one operand"
        )

    def to(i: int) -> Callable[[Array], Array]:
        others = [t for j, t in enumerate(terms) if j != i]
        known = set(output).union(*map(set, others)) if others else set(output)
        kept = "".join(c for c in terms[i] if c in known)
        spec = ",".join([output, *others]) + "->" + kept
        shape = tuple(
            n if c in known else 1 for c, n in zip(terms[i], arrays[i].shape, strict=True)
        )

        def pull(g: Array) -> Array:
            d = np.einsum(spec, g, *[a for j, a in enumerate(arrays) if j != i], optimize=True)
            return np.broadcast_to(d.reshape(shape), arrays[i].shape)

        return pull

    return np.einsum(equation, *arrays, optimize=True), tuple(to(i) for i in range(len(arrays)))
