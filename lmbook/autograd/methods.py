"""Operations on a tensor, as methods under PyTorch's names: each a primitive or a few together."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lmbook.autograd.graph import Handle
from lmbook.backend import DTypeError, GradientError, IndexRangeError, ShapeError

if TYPE_CHECKING:
    from lmbook.autograd.tensor import Tensor


def _axis(x: Any, dim: Any) -> Any:
    if type(dim) is int and -x.data.ndim <= dim < x.data.ndim:
        return dim % x.data.ndim
    if dim is None:
        return None
    dims = dim if isinstance(dim, tuple | list) else (dim,)
    for d in dims:
        if not -x.ndim <= d < x.ndim:
            raise IndexRangeError(f"dim {d} does not exist: the tensor has shape {x.shape}")
    return tuple(d % x.ndim for d in dims) if isinstance(dim, tuple | list) else dim % x.ndim


def _flat(shape: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape


def _raw(x: Any) -> Any:
    return x.data if hasattr(x, "requires_grad") else x


class Methods:
    """The part of `Tensor` that needs only `_op`, which runs a primitive on it."""

    __slots__ = ()
    if TYPE_CHECKING:  # what Tensor brings

        def __getattr__(self, name: str) -> Any: ...
        def __neg__(self) -> "Tensor": ...
        def __getitem__(self, index: Any) -> "Tensor": ...

    def _op(self, name: str, *others: Any, **params: Any) -> "Tensor":
        raise NotImplementedError(name)  # Tensor does it

    def exp(self) -> "Tensor":
        """e to the x."""
        return self._op("exp")

    def log(self) -> "Tensor":
        """Natural logarithm."""
        return self._op("log")

    def log1p(self) -> "Tensor":
        """log(1 + x), exact near 0."""
        return self._op("log1p")

    def sqrt(self) -> "Tensor":
        """Square root."""
        return self._op("sqrt")

    def rsqrt(self) -> "Tensor":
        """1 / sqrt(x)."""
        return self._op("pow", -0.5)

    def sin(self) -> "Tensor":
        """Sine."""
        return self._op("sin")

    def cos(self) -> "Tensor":
        """Cosine."""
        return self._op("cos")

    def tanh(self) -> "Tensor":
        """Hyperbolic tangent."""
        return self._op("tanh")

    def sigmoid(self) -> "Tensor":
        """1 / (1 + exp(-x))."""
        return self._op("sigmoid")

    def relu(self) -> "Tensor":
        """max(0, x)."""
        return self._op("relu")

    def abs(self) -> "Tensor":
        """Absolute value; its gradient at 0 is 0."""
        return self._op("abs")

    def square(self) -> "Tensor":
        """x times x."""
        return self._op("mul", self)

    def pow(self, exponent: Any) -> "Tensor":
        """x to the power of `exponent`."""
        return self._op("pow", exponent)

    def clamp(self, min: float | None = None, max: float | None = None) -> "Tensor":
        """x limited to [min, max]; no gradient outside."""
        return self._op("clip", min, max)

    def maximum(self, other: Any) -> "Tensor":
        """The larger of each pair; a tie shares its gradient."""
        return self._op("maximum", other)

    def minimum(self, other: Any) -> "Tensor":
        """The smaller of each pair; a tie shares its gradient."""
        return self._op("minimum", other)

    def masked_fill(self, mask: Any, value: float) -> "Tensor":
        """x, with `value` wherever the mask holds."""
        return self._op_on("where", _raw(mask), np.asarray(value, self.dtype), self)

    def matmul(self, other: Any) -> "Tensor":
        """Matrix product."""
        return self._op("matmul", other)

    # Reductions

    def sum(self, dim: Any = None, keepdim: bool = False) -> "Tensor":
        """Sum over all entries or along `dim` (an axis or several)."""
        return self._op("sum", axis=_axis(self, dim), keepdims=keepdim)

    def mean(self, dim: Any = None, keepdim: bool = False) -> "Tensor":
        """Arithmetic mean over all entries or along `dim`."""
        if self.dtype.kind != "f":
            raise DTypeError(
                f"mean: needs floating-point entries, got {self.dtype}; use x.float().mean()"
            )
        return self._op("mean", axis=_axis(self, dim), keepdims=keepdim)

    def var(self, dim: Any = None, unbiased: bool = True, keepdim: bool = False) -> "Tensor":
        """Variance; divided by n - 1 if `unbiased`, else by n."""
        centred = self - self.mean(dim, keepdim=dim is not None)
        total = centred.square().sum(dim, keepdim)
        n = self.numel() // (total.numel() or 1)
        return total / (n - 1 if unbiased else n)

    def std(self, dim: Any = None, unbiased: bool = True, keepdim: bool = False) -> "Tensor":
        """Standard deviation."""
        return self.var(dim, unbiased, keepdim).sqrt()

    def amax(self, dim: Any = None, keepdim: bool = False) -> "Tensor":
        """Largest entry; ties share the gradient."""
        return self._op("amax", axis=_axis(self, dim), keepdims=keepdim)

    def amin(self, dim: Any = None, keepdim: bool = False) -> "Tensor":
        """Smallest entry; ties share the gradient."""
        return -(-self).amax(dim, keepdim)

    def max(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Largest entry; with `dim`, the pair (values, indices) along it."""
        if dim is None:
            return self.amax()
        index = self.argmax(dim, keepdim=True)
        values = self.gather(dim, index)
        return (values, index) if keepdim else (values.squeeze(dim), index.squeeze(dim))

    def min(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Smallest entry; with `dim`, the pair (values, indices) along it."""
        if dim is None:
            return self.amin()
        values, index = (-self).max(dim, keepdim)
        return -values, index

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> "Tensor":
        """Index of the largest entry, the first of several."""
        return self._constant(self.data.argmax(axis=_axis(self, dim), keepdims=keepdim))

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> "Tensor":
        """Index of the smallest entry, the first of several."""
        return self._constant(self.data.argmin(axis=_axis(self, dim), keepdims=keepdim))

    def any(self, dim: int | None = None) -> "Tensor":
        """Whether some entry is true."""
        return self._constant(self.data.any(axis=_axis(self, dim)))

    def all(self, dim: int | None = None) -> "Tensor":
        """Whether every entry is true."""
        return self._constant(self.data.all(axis=_axis(self, dim)))

    def cumsum(self, dim: int) -> "Tensor":
        """Running sum along `dim`."""
        return self._op("cumsum", axis=_axis(self, dim))

    # Shape

    def reshape(self, *shape: Any) -> "Tensor":
        """The same entries in another shape; one length may be -1."""
        return self._op("reshape", shape=_flat(shape))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> "Tensor":
        """Merge the axes from `start_dim` to `end_dim` into one."""
        start, end = _axis(self, start_dim), _axis(self, end_dim)
        return self.reshape((*self.shape[:start], -1, *self.shape[end + 1 :]))

    def permute(self, *dims: Any) -> "Tensor":
        """The axes in another order."""
        dims = _flat(dims)
        if sorted(_axis(self, d) for d in dims) != list(range(self.ndim)):
            raise ShapeError(f"permute: {dims} does not name each axis of shape {self.shape} once")
        return self._op("permute", axes=tuple(_axis(self, d) for d in dims))

    @property
    def T(self) -> "Tensor":
        """All axes reversed; for a matrix, its transpose."""
        return self._op("permute", axes=tuple(range(self.ndim))[::-1])

    @property
    def mT(self) -> "Tensor":
        """The last two axes exchanged: a stack of matrices, each transposed."""
        return self.transpose(-1, -2)

    def view(self, *shape: Any) -> "Tensor":
        """The same entries in another shape, as `reshape`."""
        return self.reshape(*shape)

    def transpose(self, dim0: int, dim1: int) -> "Tensor":
        """Two axes exchanged."""
        axes = list(range(self.ndim))
        i, j = _axis(self, dim0), _axis(self, dim1)
        axes[i], axes[j] = axes[j], axes[i]
        return self._op("permute", axes=tuple(axes))

    def squeeze(self, dim: int | None = None) -> "Tensor":
        """Without the axes of length 1, or without axis `dim` if its length is 1."""
        if dim is None:
            return self.reshape(tuple(n for n in self.shape if n != 1))
        dim = _axis(self, dim)
        if self.shape[dim] != 1:
            return self  # type: ignore[return-value]
        return self.reshape(self.shape[:dim] + self.shape[dim + 1 :])

    def unsqueeze(self, dim: int) -> "Tensor":
        """A new axis of length 1 at position `dim`."""
        if not -self.ndim - 1 <= dim <= self.ndim:
            raise IndexRangeError(
                f"unsqueeze: position {dim} does not exist for shape {self.shape}"
            )
        dim %= self.ndim + 1
        return self.reshape((*self.shape[:dim], 1, *self.shape[dim:]))

    def expand(self, *shape: Any) -> "Tensor":
        """Repeat axes of length 1 without copying; -1 keeps a length."""
        shape = _flat(shape)
        lead = len(shape) - self.ndim
        full = tuple(self.shape[i - lead] if n == -1 else n for i, n in enumerate(shape))
        return self._op("expand", shape=full)

    def flip(self, dims: Any) -> "Tensor":
        """Reversed along the given axes."""
        return self._op("flip", axis=_axis(self, dims))

    def gather(self, dim: int, index: Any) -> "Tensor":
        """Entries picked along `dim` by `index`, which has as many axes as self."""
        return self._op("gather", _raw(index), axis=_axis(self, dim))

    def split(self, size: int | Sequence[int], dim: int = 0) -> tuple["Tensor", ...]:
        """Pieces of `size` along `dim` (the last may be shorter), or of the sizes listed."""
        dim = _axis(self, dim)
        n = self.shape[dim]
        sizes = (
            [size] * (n // size) + [n % size] * (n % size > 0)
            if isinstance(size, int)
            else list(size)
        )
        if np.sum(sizes) != n:
            raise ShapeError(
                f"split: sizes {sizes} do not add up to {n}, the length of axis {dim} of {self.shape}"
            )
        stops = np.cumsum(sizes)
        lead = (slice(None),) * dim
        return tuple(
            self[(*lead, slice(int(e - s), int(e)))] for s, e in zip(sizes, stops, strict=True)
        )

    def chunk(self, chunks: int, dim: int = 0) -> tuple["Tensor", ...]:
        """At most `chunks` pieces of equal size; the last may be shorter."""
        return self.split(-(-self.shape[_axis(self, dim)] // chunks), dim)

    def tril(self, diagonal: int = 0) -> "Tensor":
        """The lower triangle of the last two axes, zero elsewhere."""
        return self._op("mul", np.tril(np.ones(self.shape[-2:], self.dtype), diagonal))

    def triu(self, diagonal: int = 0) -> "Tensor":
        """The upper triangle of the last two axes, zero elsewhere."""
        return self._op("mul", np.triu(np.ones(self.shape[-2:], self.dtype), diagonal))

    # Hooks

    def register_post_accumulate_grad_hook(self, hook: Callable[["Tensor"], None]) -> Handle:
        """Call `hook(tensor)` in each backward pass when the gradient of this leaf is complete.

        The pass goes on afterwards, so that work on the gradient can begin. `remove()` ends it.
        """
        if not self.is_leaf:
            raise GradientError(
                "register_post_accumulate_grad_hook: only leaves keep a gradient; this one was computed"
            )
        if getattr(self, "_hooks", None) is None:
            self._hooks: dict[int, Any] = {}  # type: ignore[misc]
        return Handle(self._hooks, hook)

    # Type and copies

    def to(self, dtype: Any) -> "Tensor":
        """Entries converted to another type."""
        return self if self.dtype == dtype else self._op("cast", dtype=np.dtype(dtype))  # type: ignore[return-value]

    def float(self) -> "Tensor":
        """Entries as float32."""
        return self.to(np.float32)

    def double(self) -> "Tensor":
        """Entries as float64."""
        return self.to(np.float64)

    def long(self) -> "Tensor":
        """Entries as int64."""
        return self.to(np.int64)

    def bool(self) -> "Tensor":
        """Entries as truth values."""
        return self.to(np.bool_)

    def clone(self) -> "Tensor":
        """A copy, with the gradient flowing through."""
        return self._op("clone")

    @property
    def nbytes(self) -> int:
        """Bytes that its entries take."""
        return self.data.nbytes

    def contiguous(self) -> "Tensor":
        """Itself if its memory is in row-major order, else a copy that is."""
        return self if self.data.flags.c_contiguous else self.clone()  # type: ignore[return-value]
