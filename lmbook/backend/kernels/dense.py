"""Kernels of the matrix product, the linear map, embedding and dropout."""

import numpy as np

from lmbook.backend.memory import asarray
from lmbook.backend.table import kernel

Array = np.ndarray


@kernel
def product(a: Array, b: Array) -> Array:
    """a b of two matrices."""
    return a @ b


@kernel
def linear(x: Array, weight: Array, bias: Array | None) -> Array:
    """x W^T + b for rows x (rows, in), weight (out, in), bias (out,)."""
    y = x @ weight.T
    if bias is not None:
        y += bias
    return y


@kernel
def scatter_rows(g: Array, index: Array, rows: int) -> Array:
    """Sum the rows of g (*index.shape, width) into a table (rows, width) at `index`."""
    out = np.zeros_like(g, shape=(rows, g.shape[-1]))
    np.add.at(out, index.reshape(-1), g.reshape(-1, g.shape[-1]))
    return out


@kernel
def dropout(x: Array, keep: float, generator: np.random.Generator) -> tuple[Array, Array]:
    """x * mask / keep and the mask, each entry of which is true with probability `keep`."""
    mask = asarray(generator.random(x.shape, dtype=np.float32) < keep)
    return x * mask * x.dtype.type(1 / keep), mask


@kernel
def dropout_backward(g: Array, mask: Array, keep: float) -> Array:
    """g * mask / keep."""
    return g * mask * g.dtype.type(1 / keep)
