"""On a GPU the engine runs the book's own kernels where the ladder of `lmbook.gpu` has the operation.

    softmax            rung 4, a warp a row, the row in registers
    layer_norm         rung 5, the row staged in shared memory
    scatter_rows       rung 10, the gradient of an embedding, in a fixed order of additions

Each variant takes what its kernel takes, float32 rows that lie one after the other, and leaves the rest
to the reference, which CuPy carries out.
"""

from typing import Any

import numpy as np

from lmbook.backend import Array, contiguous, float32
from lmbook.backend.kernels import activation, dense, norm

WIDEST = {"softmax": 1024, "layer_norm": 8192}
"""The longest row that a kernel keeps: in a warp's registers, in a block's shared memory."""


def _launch(rung: str, version: str, *inputs: Any) -> Array:
    from lmbook.gpu import kernels  # a tokenizer and a parser: read when first needed

    return getattr(kernels, rung).run(version, *map(_ready, inputs)).outputs[0]


def _ready(x: Any) -> Any:
    return contiguous(x) if hasattr(x, "shape") else x


def _rows(x: Array, widest: int) -> bool:
    return x.dtype == float32 and x.size > 0 and x.shape[-1] <= widest


def softmax(x: Array) -> Array:
    """Softmax over the last axis by rung 4."""
    if x.ndim == 0 or not _rows(x, WIDEST["softmax"]):
        return activation.softmax.reference(x)
    rows = x.reshape(-1, x.shape[-1])
    return _launch("softmax", "softmax4_registers", rows).reshape(x.shape)


def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """Layer normalisation by rung 5; the normalised x and 1 / std, for the backward pass, by CuPy."""
    if weight is None or bias is None or not _rows(x, WIDEST["layer_norm"]):
        return norm.layer_norm.reference(x, weight, bias, eps)
    _, hat, rstd = norm.layer_norm.reference(x, None, None, eps)
    return _launch("layer_norm", "layer_norm3_staged", x, weight, bias, eps), hat, rstd


def scatter_rows(g: Array, index: Array, rows: int) -> Array:
    """Sum rows of g into a table by rung 10, tokens sorted first: the same bits every time."""
    if not _rows(g, g.shape[-1]) or index.size == 0:
        return dense.scatter_rows.reference(g, index, rows)
    ids = index.reshape(-1).astype(np.int32)
    ids = np.where(ids < 0, ids + np.int32(rows), ids)
    return _launch("embedding", "embedding3_sorted", ids, g.reshape(-1, g.shape[-1]), rows)


activation.softmax.variant("cupy", softmax)
norm.layer_norm.variant("cupy", layer_norm)
dense.scatter_rows.variant("cupy", scatter_rows)
