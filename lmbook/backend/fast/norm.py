"""Compiled kernels of layer, RMS and batch normalisation."""

import math
from collections.abc import Callable

import numpy as np

from lmbook.backend.fast.compile import jit
from lmbook.backend.fast.threads import share

__all__ = [
    "batch_moments", "batch_norm", "batch_norm_backward", "batch_norm_sums", "column_sums",
    "layer_norm", "layer_norm_backward", "rms_norm", "rms_norm_backward",
]  # fmt: skip

Array = np.ndarray


@jit
def _layer_norm(x, weight, bias, scaled, shifted, eps, y, hat, rstd):  # type: ignore[no-untyped-def]
    n, width = x.shape
    t = x.dtype.type
    for i in range(n):
        mean = t(0)
        for j in range(width):
            mean += x[i, j]
        mean /= t(width)
        var = t(0)
        for j in range(width):
            var += (x[i, j] - mean) * (x[i, j] - mean)
        r = t(1) / t(math.sqrt(var / t(width) + eps))
        rstd[i, 0] = r
        for j in range(width):
            h = (x[i, j] - mean) * r
            hat[i, j] = h
            if scaled:
                h *= weight[j]
            if shifted:
                h += bias[j]
            y[i, j] = h


@jit
def _layer_norm_backward(g, hat, rstd, weight, scaled, d):  # type: ignore[no-untyped-def]
    n, width = g.shape
    t = g.dtype.type
    for i in range(n):
        mean, dot = t(0), t(0)
        for j in range(width):
            h = g[i, j] * weight[j] if scaled else g[i, j]
            mean += h
            dot += h * hat[i, j]
        mean /= t(width)
        dot /= t(width)
        for j in range(width):
            h = g[i, j] * weight[j] if scaled else g[i, j]
            d[i, j] = (h - mean - hat[i, j] * dot) * rstd[i, 0]


def _or_empty(a: Array | None, like: Array) -> Array:
    return np.empty(0, like.dtype) if a is None else np.ascontiguousarray(a)


def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """Normalised, scaled and shifted rows; normalised rows; 1 / std."""
    y, hat = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
    rstd = np.empty((len(x), 1), x.dtype)
    _layer_norm(
        np.ascontiguousarray(x), _or_empty(weight, x), _or_empty(bias, x), weight is not None,
        bias is not None, x.dtype.type(eps), y, hat, rstd,
    )  # fmt: skip
    return y, hat, rstd


def layer_norm_backward(g: Array, hat: Array, rstd: Array, weight: Array | None) -> Array:
    """Gradient of the rows."""
    d = np.empty(g.shape, g.dtype)
    w = _or_empty(weight, g)
    _layer_norm_backward(np.ascontiguousarray(g), hat, rstd, w, weight is not None, d)
    return d


@jit
def _rms_norm(x, weight, scaled, eps, y, rrms):  # type: ignore[no-untyped-def]
    n, width = x.shape
    t = x.dtype.type
    for i in range(n):
        total = t(0)
        for j in range(width):
            total += x[i, j] * x[i, j]
        r = t(1) / t(math.sqrt(total / t(width) + eps))
        rrms[i, 0] = r
        for j in range(width):
            y[i, j] = x[i, j] * r * weight[j] if scaled else x[i, j] * r


@jit
def _rms_norm_backward(g, x, rrms, weight, scaled, d):  # type: ignore[no-untyped-def]
    n, width = g.shape
    t = g.dtype.type
    for i in range(n):
        r, dot = rrms[i, 0], t(0)
        for j in range(width):
            h = g[i, j] * weight[j] if scaled else g[i, j]
            dot += h * x[i, j]
        dot *= r * r / t(width)
        for j in range(width):
            h = g[i, j] * weight[j] if scaled else g[i, j]
            d[i, j] = (h - x[i, j] * dot) * r


def rms_norm(x: Array, weight: Array | None, eps: float) -> tuple[Array, Array]:
    """x / rms * weight along each row; also 1 / rms."""
    y, rrms = np.empty(x.shape, x.dtype), np.empty((len(x), 1), x.dtype)
    w = _or_empty(weight, x)
    _rms_norm(np.ascontiguousarray(x), w, weight is not None, x.dtype.type(eps), y, rrms)
    return y, rrms


def rms_norm_backward(g: Array, x: Array, rrms: Array, weight: Array | None) -> Array:
    """Gradient of the rows."""
    d, w = np.empty(g.shape, g.dtype), _or_empty(weight, g)
    g, x = np.ascontiguousarray(g), np.ascontiguousarray(x)
    _rms_norm_backward(g, x, rrms, w, weight is not None, d)
    return d


@jit
def _column_sums(g, hat, product, total):  # type: ignore[no-untyped-def]
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            product[j] += g[i, j] * hat[i, j]
            total[j] += g[i, j]


def column_sums(g: Array, hat: Array) -> tuple[Array, Array]:
    """Sums over rows of g * hat and of g."""
    product, total = np.zeros(g.shape[1], g.dtype), np.zeros(g.shape[1], g.dtype)
    _column_sums(np.ascontiguousarray(g), np.ascontiguousarray(hat), product, total)
    return product, total


def _channels(run: Callable[..., object], x: Array, *arrays: Array) -> None:
    """run(x, *arrays, first, last) over the channels of x, in several threads where it pays."""
    given = [np.ascontiguousarray(a) for a in (x, *arrays)]
    share(lambda first, last: run(*given, first, last), x.shape[1], x.size // 2)


@jit
def _batch_moments(x, mean, var, first, last):  # type: ignore[no-untyped-def]
    """In one pass: the first entry is taken off, so that the squares lose no digits."""
    n, _, size = x.shape
    zero = x.dtype.type(0)
    for c in range(first, last):
        pivot, total, squares = x[0, c, 0], 0.0, 0.0
        for i in range(n):
            row, row_squares = zero, zero
            for k in range(size):
                entry = x[i, c, k] - pivot
                row += entry
                row_squares += entry * entry
            total += row
            squares += row_squares
        total /= n * size
        mean[c] = pivot + total
        var[c] = max(0.0, squares / (n * size) - total * total)


def batch_moments(x: Array) -> tuple[Array, Array]:
    """Mean and biased variance of each channel."""
    mean, var = np.empty(x.shape[1], x.dtype), np.empty(x.shape[1], x.dtype)
    _channels(_batch_moments, x, mean, var)
    return mean, var


@jit
def _scale_shift(x, scale, shift, y, first, last):  # type: ignore[no-untyped-def]
    n, _, size = x.shape
    for i in range(n):
        for c in range(first, last):
            for k in range(size):
                y[i, c, k] = x[i, c, k] * scale[c] + shift[c]


def batch_norm(
    x: Array, mean: Array, rstd: Array, weight: Array | None, bias: Array | None
) -> Array:
    """(x - mean) * rstd * weight + bias, channel by channel."""
    scale = rstd if weight is None else rstd * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    y = np.empty(x.shape, x.dtype)
    _channels(_scale_shift, x, scale, shift, y)
    return y


@jit
def _batch_norm_sums(g, x, mean, total, product, first, last):  # type: ignore[no-untyped-def]
    n, _, size = x.shape
    zero = g.dtype.type(0)
    for c in range(first, last):
        s, p, m = 0.0, 0.0, mean[c]
        for i in range(n):
            row, row_product = zero, zero
            for k in range(size):
                row += g[i, c, k]
                row_product += g[i, c, k] * (x[i, c, k] - m)
            s += row
            p += row_product
        total[c], product[c] = s, p


def batch_norm_sums(g: Array, x: Array, mean: Array, rstd: Array) -> tuple[Array, Array]:
    """For each channel, sum of g and of g * (x - mean) * rstd."""
    total, product = np.empty(x.shape[1], g.dtype), np.empty(x.shape[1], g.dtype)
    _channels(_batch_norm_sums, g, x, mean, total, product)
    return total, product * rstd


@jit
def _combine(g, x, a, b, c, d, first, last):  # type: ignore[no-untyped-def]
    n, _, size = x.shape
    for i in range(n):
        for k in range(first, last):
            for j in range(size):
                d[i, k, j] = g[i, k, j] * a[k] + x[i, k, j] * b[k] + c[k]


def batch_norm_backward(
    g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None, total: Array, product: Array
) -> Array:
    """Gradient of x through the batch's own statistics."""
    n = x.shape[0] * x.shape[2]
    scale = rstd if weight is None else rstd * weight
    slope = (-scale * rstd * product / n).astype(g.dtype, copy=False)
    shift = (-scale * total / n - slope * mean).astype(g.dtype, copy=False)
    d = np.empty(g.shape, g.dtype)
    _channels(_combine, g, x, scale, slope, shift, d)
    return d
