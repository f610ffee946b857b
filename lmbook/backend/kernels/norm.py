"""Kernels of the normalisations. Arrays are (rows, width) or (batch, channels, positions)."""

import numpy as np

from lmbook.backend.table import kernel

Array = np.ndarray


@kernel
def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """(x - mean) / sqrt(var + eps) * weight + bias along each row; also the normalised x and 1 / std."""
    centred = x - x.mean(axis=1, keepdims=True)
    rstd = 1 / np.sqrt(np.mean(centred * centred, axis=1, keepdims=True) + x.dtype.type(eps))
    hat = centred * rstd
    y = hat if weight is None else hat * weight
    return (y if bias is None else y + bias), hat, rstd


@kernel
def layer_norm_backward(g: Array, hat: Array, rstd: Array, weight: Array | None) -> Array:
    """(h - mean h - hat mean(h hat)) / std along each row, with h = g weight."""
    h = g if weight is None else g * weight
    d = h - h.mean(axis=1, keepdims=True)
    d -= hat * np.mean(h * hat, axis=1, keepdims=True)
    d *= rstd
    return d


@kernel
def rms_norm(x: Array, weight: Array | None, eps: float) -> tuple[Array, Array]:
    """x / sqrt(mean(x^2) + eps) * weight along each row; also 1 / rms."""
    rrms = 1 / np.sqrt(np.mean(x * x, axis=1, keepdims=True) + x.dtype.type(eps))
    y = x * rrms
    return (y if weight is None else y * weight), rrms


@kernel
def rms_norm_backward(g: Array, x: Array, rrms: Array, weight: Array | None) -> Array:
    """(h - hat mean(h hat)) / rms along each row, with h = g weight and hat = x / rms."""
    h = g if weight is None else g * weight
    hat = x * rrms
    return (h - hat * np.mean(h * hat, axis=1, keepdims=True)) * rrms


@kernel
def column_sums(g: Array, hat: Array) -> tuple[Array, Array]:
    """Sums over rows of g * hat and of g: the gradients of weight and bias."""
    return np.einsum("nd,nd->d", g, hat), g.sum(axis=0)


@kernel
def batch_moments(x: Array) -> tuple[Array, Array]:
    """Mean and (biased) variance of each channel of x (batch, channels, positions)."""
    mean = x.mean(axis=(0, 2))
    centred = x - mean[:, None]
    return mean, np.mean(centred * centred, axis=(0, 2))


@kernel
def batch_norm(
    x: Array, mean: Array, rstd: Array, weight: Array | None, bias: Array | None
) -> Array:
    """(x - mean) * rstd * weight + bias, channel by channel: one scale and one shift."""
    scale = rstd if weight is None else rstd * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    return x * scale[:, None] + shift[:, None]


@kernel
def batch_norm_sums(g: Array, x: Array, mean: Array, rstd: Array) -> tuple[Array, Array]:
    """For each channel, sum of g and of g * (x - mean) * rstd."""
    total = g.sum(axis=(0, 2))
    product = np.einsum("ncp,ncp->c", g, x)
    return total, (product - mean * total) * rstd


@kernel
def batch_norm_backward(
    g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None, total: Array, product: Array
) -> Array:
    """Gradient of x through the batch's own statistics; total and product from `batch_norm_sums`."""
    n = x.shape[0] * x.shape[2]
    scale = rstd if weight is None else rstd * weight
    slope = -scale * rstd * product / n
    shift = -scale * total / n - slope * mean
    d = g * scale[:, None]
    d += x * slope[:, None]
    d += shift[:, None]
    return d
