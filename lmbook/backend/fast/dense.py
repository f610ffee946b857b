"""Compiled kernels of the matrix product, the linear map, embedding and dropout."""

import numpy as np

from lmbook.backend.fast import blas
from lmbook.backend.fast.compile import flat, jit, place
from lmbook.backend.fast.threads import share
from lmbook.backend.kernels import dense as reference
from lmbook.backend.machine import blas_threads

__all__ = ["dropout", "dropout_backward", "linear", "product", "scatter_rows"]

Array = np.ndarray
FEW = 4  # rows, up to which reading the weights is the work and BLAS reads them slowly
SMALL = 1 << 18  # multiplications, up to which OpenBLAS uses one thread by itself
UNIT = 16  # rows or columns that stay together when a product is shared


@jit
def _gemm(address, ta, tb, m, n, k, one, a, lda, b, ldb, beta, c, ldc):  # type: ignore[no-untyped-def]
    blas.call(address, ta, tb, m, n, k, one, a, lda, b, ldb, beta, c, ldc)


def product(a: Array, b: Array, bias: Array | None = None) -> Array:
    """a b, and bias added to each row; large products are shared among threads."""
    (m, k), n = a.shape, b.shape[1]
    address = blas.address(a, b) if m * n * k > SMALL else None
    left, right = blas.order(a), blas.order(b)
    if address is None or left is None or right is None:
        return reference.linear.reference(a, b.T, bias)
    c = np.empty((m, n), a.dtype)
    one = a.dtype.type(1)
    beta = one if bias is not None else a.dtype.type(0)
    (ta, lda), (tb, ldb) = left, right
    at, size = [place(x) for x in (a, b, c)], a.itemsize

    def rows(i: int, j: int) -> None:
        i, j = i * UNIT, min(j * UNIT, m)
        if bias is not None:
            c[i:j] = bias
        _gemm(address, ta, tb, j - i, n, k, one, at[0] + i * a.strides[0], lda, at[1], ldb, beta,
              at[2] + i * n * size, n)  # fmt: skip

    def columns(i: int, j: int) -> None:
        i, j = i * UNIT, min(j * UNIT, n)
        if bias is not None:
            c[:, i:j] = bias[i:j]
        _gemm(address, ta, tb, m, j - i, k, one, at[0], lda, at[1] + i * b.strides[1], ldb, beta,
              at[2] + i * size, n)  # fmt: skip

    with blas_threads(1):
        share(columns if n > m else rows, -(-max(m, n) // UNIT), m * n * k // 64, turns=1)
    return c


@jit
def _linear(x, weight, bias, shifted, y):  # type: ignore[no-untyped-def]
    for o in range(weight.shape[0]):
        for r in range(x.shape[0]):
            total = x.dtype.type(0)
            for i in range(x.shape[1]):
                total += x[r, i] * weight[o, i]
            y[r, o] = total + bias[o] if shifted else total


@jit
def _linear_turned(x, turned, y):  # type: ignore[no-untyped-def]
    """y += x turned, for turned (in, out): four of its rows at a time, for all rows of x."""
    inside, out = turned.shape
    whole = inside - inside % 4
    for i in range(0, whole, 4):
        for r in range(x.shape[0]):
            a, b, c, d = x[r, i], x[r, i + 1], x[r, i + 2], x[r, i + 3]
            for o in range(out):
                y[r, o] += (a * turned[i, o] + b * turned[i + 1, o]) + (
                    c * turned[i + 2, o] + d * turned[i + 3, o]
                )
    for i in range(whole, inside):
        for r in range(x.shape[0]):
            for o in range(out):
                y[r, o] += x[r, i] * turned[i, o]


def linear(x: Array, weight: Array, bias: Array | None) -> Array:
    """x W^T + b; a few rows pass over the weights once, in the order in which they stand."""
    if (
        x.dtype != weight.dtype
        or x.dtype.kind != "f"
        or (bias is not None and bias.dtype != x.dtype)
    ):
        return reference.linear.reference(x, weight, bias)
    if len(x) <= FEW and weight.flags.f_contiguous and not weight.flags.c_contiguous:
        y = np.zeros((len(x), len(weight)), x.dtype)
        if bias is not None:
            y += bias
        _linear_turned(np.ascontiguousarray(x), weight.T, y)
        return y
    if len(x) > FEW or not weight.flags.c_contiguous:
        return product(x, weight.T, bias)
    y = np.empty((len(x), len(weight)), x.dtype)
    b = np.empty(0, x.dtype) if bias is None else np.ascontiguousarray(bias)
    _linear(np.ascontiguousarray(x), weight, b, bias is not None, y)
    return y


@jit
def _scatter_rows(g, index, out):  # type: ignore[no-untyped-def]
    for i in range(index.size):
        row = index[i]
        for j in range(g.shape[1]):
            out[row, j] += g[i, j]


def scatter_rows(g: Array, index: Array, rows: int) -> Array:
    """Sum the rows of g into a table at `index`; negative indices count from the end."""
    out = np.zeros((rows, g.shape[-1]), g.dtype)
    at = flat(index)
    _scatter_rows(
        np.ascontiguousarray(g).reshape(at.size, g.shape[-1]), np.where(at < 0, at + rows, at), out
    )
    return out


@jit
def _dropout(x, u, keep, scale, y, mask):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        kept = u[i] < keep
        mask[i] = kept
        y[i] = x[i] * scale if kept else x.dtype.type(0)


def dropout(x: Array, keep: float, generator: np.random.Generator) -> tuple[Array, Array]:
    """x * mask / keep and the mask."""
    u = generator.random(x.shape, dtype=np.float32)
    y, mask = np.empty(x.shape, x.dtype), np.empty(x.shape, np.bool_)
    scale = x.dtype.type(1 / keep)
    _dropout(flat(x), u.reshape(-1), np.float32(keep), scale, y.reshape(-1), mask.reshape(-1))
    return y, mask


@jit
def _dropout_backward(g, mask, scale, d):  # type: ignore[no-untyped-def]
    for i in range(g.size):
        d[i] = g[i] * scale if mask[i] else g.dtype.type(0)


def dropout_backward(g: Array, mask: Array, keep: float) -> Array:
    """g * mask / keep."""
    d = np.empty(g.shape, g.dtype)
    _dropout_backward(flat(g), flat(mask), g.dtype.type(1 / keep), d.reshape(-1))
    return d
