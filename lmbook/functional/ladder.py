"""On a GPU the engine runs the book's own kernels where the ladder of `lmbook.gpu` has the operation.

    softmax            rung 4, a warp a row, the row in registers
    layer_norm         rung 5, the row staged in shared memory; x is kept, not its normalised form
    gelu_tanh          rung 6, one pass; the slope is computed on the way back
    scatter_rows       rung 10, the gradient of an embedding, in a fixed order of additions
    attention          rung 11, causal, heads of width 64: no score reaches memory, in either direction
    cumsum, largest    prefix sums of a vector; top-k of rows

and, while `own_products()` of `lmbook.backend` is on,

    product, linear    rung 8, double-buffered tiles
    conv2d             rung 9, 3 x 3 with stride and padding 1, image by image

These two are off by default: CuPy leaves products to cuBLAS, and published ladders stay below it
(Boehm 2022 comes to 94 % on an A6000). Each variant takes what its kernel takes, float32 and sizes within
limits, makes rows lie one after the other, and leaves the rest to the reference, which CuPy carries out.
"""

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from lmbook.backend import Array, contiguous, float32
from lmbook.backend.config import products_are_own
from lmbook.backend.kernels import activation, attention, conv, dense, norm, order
from lmbook.backend.kernels.conv import Geometry

WIDEST = {"softmax": 1024, "layer_norm": 8192, "largest": 1024}
"""The longest row that a kernel keeps: in a warp's registers, in a block's shared memory."""
MOST = 65535
"""Blocks along the second and third axis of a grid."""
HEAD = 64
"""Width of the heads that rung 11 is written for."""


def _launch(rung: str, version: str, *inputs: Any) -> Any:
    """What a version of a rung gives: its first output."""
    return getattr(_kernels(), rung).run(version, *map(_ready, inputs)).outputs[0]


def _kernels() -> Any:
    from lmbook.gpu import kernels  # a tokenizer and a parser: read when first needed

    return kernels


def _ready(x: Any) -> Any:
    return contiguous(x) if hasattr(x, "shape") else x


def _fits(*arrays: Array) -> bool:
    """Whether kernels take the arrays: float32, not empty, places counted in 32 bits."""
    return all(a.dtype == float32 and 0 < a.size < 2**31 for a in arrays)


def _rows(x: Array, widest: int) -> bool:
    return _fits(x) and x.shape[-1] <= widest


def softmax(x: Array) -> Array:
    """Softmax over the last axis by rung 4."""
    if x.ndim == 0 or not _rows(x, WIDEST["softmax"]):
        return activation.softmax.reference(x)
    rows = x.reshape(-1, x.shape[-1])
    return _launch("softmax", "softmax4_registers", rows).reshape(x.shape)


class Normalised:
    """The normalised x and 1 / std, computed by CuPy when the backward pass first asks."""

    def __init__(self, x: Array, eps: float) -> None:
        self.x, self.eps = x, eps

    @cached_property
    def parts(self) -> tuple[Array, Array]:
        """Both."""
        return norm.layer_norm.reference(self.x, None, None, self.eps)[1:]


def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Any, Any]:
    """Layer normalisation by rung 5; x is kept for the backward pass."""
    fits = weight is not None and bias is not None and _fits(x, weight, bias)
    if not fits or x.shape[1] > WIDEST["layer_norm"]:
        return norm.layer_norm.reference(x, weight, bias, eps)
    kept = Normalised(x, eps)
    return _launch("layer_norm", "layer_norm3_staged", x, weight, bias, eps), kept, kept


def layer_norm_backward(g: Array, hat: Any, rstd: Any, weight: Array | None) -> Array:
    """The reference, on what `layer_norm` kept."""
    if isinstance(hat, Normalised):
        hat, rstd = hat.parts
    return norm.layer_norm_backward.reference(g, hat, rstd, weight)


def column_sums(g: Array, hat: Any) -> tuple[Array, Array]:
    """The reference, on what `layer_norm` kept."""
    return norm.column_sums.reference(g, hat.parts[0] if isinstance(hat, Normalised) else hat)


def gelu_tanh(x: Array) -> tuple[Array, Array]:
    """GELU by rung 6, with a bias of 0; x itself is kept, which is in memory anyway, not the slope."""
    if not _fits(x):
        return activation.gelu_tanh.reference(x)[0], x
    return _launch("bias_gelu", "bias_gelu2_fused", x, np.zeros_like(x, shape=1)), x


def gelu_tanh_backward(g: Array, x: Array) -> Array:
    """g times the slope at x."""
    return g * activation.gelu_tanh.reference(x)[1]


def scatter_rows(g: Array, index: Array, rows: int) -> Array:
    """Sum rows of g into a table by rung 10, tokens sorted first: the same bits every time."""
    if not _rows(g, g.shape[-1]) or index.size == 0:
        return dense.scatter_rows.reference(g, index, rows)
    ids = index.reshape(-1).astype(np.int32)
    ids = np.where(ids < 0, ids + np.int32(rows), ids)
    return _launch("embedding", "embedding3_sorted", ids, g.reshape(-1, g.shape[-1]), rows)


class Flash(NamedTuple):
    """What flash attention keeps for its backward pass, in place of the softmax: (B H, S, E) and (B H, S)."""

    output: Array
    log_sum: Array


def flash(
    q: Array, k: Array, v: Array, mask: Array | None, causal: bool, scale: float
) -> tuple[Array, Any]:
    """Attention by rung 11, if causal, without a mask, in heads of width 64."""
    same = q.shape == k.shape == v.shape and q.shape[-1] == HEAD and q.shape[0] * q.shape[1] <= MOST
    if not (causal and same and _fits(q, k, v) and mask is None and scale == HEAD**-0.5):
        return attention.attention.reference(q, k, v, mask, causal, scale)
    plan = _kernels().flash_forward(*(_ready(a).reshape(-1, *a.shape[2:]) for a in (q, k, v)))
    kept = Flash(*_kernels().attention.launch(plan).outputs)
    return kept.output.reshape(q.shape), kept


def flash_backward(
    g: Array, q: Array, k: Array, v: Array, p: Any, scale: float
) -> tuple[Array, Array, Array]:
    """Gradients of q, k and v; the scores are computed once more, tile by tile."""
    if not isinstance(p, Flash):
        return attention.attention_backward.reference(g, q, k, v, p, scale)
    heads = (_ready(a).reshape(-1, *a.shape[2:]) for a in (q, k, v, g))
    plan = _kernels().flash_backward(*heads, *p)
    dq, dk, dv = _kernels().attention_backward.launch(plan).outputs
    return dq.reshape(q.shape), dk.reshape(q.shape), dv.reshape(q.shape)


def cumsum(x: Array, axis: int) -> Array:
    """Prefix sums of a vector by shuffles."""
    if x.ndim != 1 or not _fits(x):
        return order.cumsum.reference(x, axis)
    return _launch("scan", "scan3_shuffle", x)


def largest(scores: Array, k: int) -> Array:
    """Top-k by sorting each row in shared memory."""
    if not _rows(scores, WIDEST["largest"]) or not 1 <= k <= scores.shape[1]:
        return order.largest.reference(scores, k)
    plan = _kernels().topk.plan("topk2_bitonic", _ready(scores), k)
    return _kernels().topk.launch(plan).outputs[1].astype(np.int64)


def product(a: Array, b: Array) -> Array:
    """a b by rung 8, if `own_products` says so; a transposed matrix is copied first."""
    if not (products_are_own.get() and _fits(a, b) and len(a) <= 64 * MOST):
        return dense.product.reference(a, b)
    return _launch("matmul", "matmul6_double_buffered", a, b)


def linear(x: Array, weight: Array, bias: Array | None) -> Array:
    """x W^T + b, with the product of `product`."""
    if not (products_are_own.get() and _fits(x, weight) and len(x) <= 64 * MOST):
        return dense.linear.reference(x, weight, bias)
    y = product(x, weight.T)
    return y if bias is None else np.add(y, bias, out=y)


def conv2d(x: Array, weight: Array, bias: Array | None, geometry: Geometry) -> Array:
    """A 3 x 3 convolution by rung 9, if `own_products` says so, one launch an image."""
    plain = geometry == Geometry(padding=(1, 1, 1, 1)) and weight.shape[2:] == (3, 3)
    if not (products_are_own.get() and plain and _fits(x, weight) and len(weight) <= MOST):
        return conv.conv2d.reference(x, weight, bias, geometry)
    y = np.stack([_launch("convolution", "conv3_tiled", image, weight) for image in x])
    return y if bias is None else np.add(y, bias[:, None, None], out=y)


for _kernel, _variant in (
    (activation.softmax, softmax), (norm.layer_norm, layer_norm),
    (norm.layer_norm_backward, layer_norm_backward), (norm.column_sums, column_sums),
    (activation.gelu_tanh, gelu_tanh), (activation.gelu_tanh_backward, gelu_tanh_backward),
    (dense.scatter_rows, scatter_rows), (attention.attention, flash),
    (attention.attention_backward, flash_backward), (order.cumsum, cumsum),
    (order.largest, largest), (dense.product, product), (dense.linear, linear), (conv.conv2d, conv2d),
):  # fmt: skip
    _kernel.variant("cupy", _variant)
