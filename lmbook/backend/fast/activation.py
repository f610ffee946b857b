"""Compiled kernels of the activation functions and softmax."""

import math

import numpy as np

from lmbook.backend.fast.compile import exp, fit, flat, jit, rows, tanh
from lmbook.backend.fast.threads import share
from lmbook.backend.kernels import activation as reference

__all__ = [
    "erf",
    "gelu",
    "gelu_tanh",
    "log_softmax",
    "relu",
    "relu_backward",
    "silu",
    "softmax",
    "softmax_backward",
]

Array = np.ndarray


@jit
def _erf(x, y):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = math.erf(x[i])


def erf(x: Array) -> Array:
    """Error function."""
    y = np.empty(x.shape, x.dtype)
    _erf(flat(x), y.reshape(-1))
    return y


@jit
def _gelu(x, y, slope):  # type: ignore[no-untyped-def]
    t = x.dtype.type
    half, root, density = t(0.5), t(1 / math.sqrt(2)), t(1 / math.sqrt(2 * math.pi))
    for i in range(x.size):
        v = x[i]
        cdf = half * (t(1) + t(math.erf(v * root)))
        y[i] = v * cdf
        slope[i] = cdf + v * exp(-half * v * v) * density


def _scaled_erfc(t: Array) -> Array:
    """erfc(z) exp(z^2) / t, where t = 1 / (1 + z / 2) goes from 1 to 1/6 as z does from 0 to 10."""
    return np.array([math.exp(z * z) * math.erfc(z) for z in 2 / t - 2]) / t


_Q = tuple(np.float32(c) for c in fit(_scaled_erfc, 1 / 6, 1.0, 8))  # to 5e-8 of the value


@jit
def _gelu32(x, y, slope):  # type: ignore[no-untyped-def]
    """In float32 Phi from one exponential and a polynomial, which the compiler can vectorise."""
    half, one = np.float32(0.5), np.float32(1)
    root, density = np.float32(math.sqrt(1 / 8)), np.float32(1 / math.sqrt(2 * math.pi))
    for i in range(x.size):
        v = x[i]
        t = one / (one + abs(v) * root)
        e = exp(-half * v * v)
        p = _Q[4] + t * (_Q[5] + t * (_Q[6] + t * (_Q[7] + t * _Q[8])))
        p = _Q[0] + t * (_Q[1] + t * (_Q[2] + t * (_Q[3] + t * p)))
        tail = half * t * p * e  # Phi(-|v|)
        cdf = tail if v < 0 else one - tail
        y[i] = v * cdf
        slope[i] = cdf + v * e * density


@jit
def _gelu_tanh(x, y, slope):  # type: ignore[no-untyped-def]
    t = x.dtype.type
    half, one, c, a = t(0.5), t(1), t(math.sqrt(2 / math.pi)), t(0.044715)
    for i in range(x.size):
        v = x[i]
        square = v * v
        w = tanh(c * v * (one + a * square))
        y[i] = half * v * (one + w)
        slope[i] = half * (one + w) + half * v * (one - w * w) * (c * (one + t(3) * a * square))


@jit
def _silu(x, y, slope):  # type: ignore[no-untyped-def]
    half, one = x.dtype.type(0.5), x.dtype.type(1)
    for i in range(x.size):
        v = x[i]
        s = half + half * tanh(half * v)
        y[i] = v * s
        slope[i] = s + v * s * (one - s)


def _with_slope(kernel, x):  # type: ignore[no-untyped-def]
    y, slope = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
    kernel(flat(x), y.reshape(-1), slope.reshape(-1))
    return y, slope


def gelu(x: Array) -> tuple[Array, Array]:
    """x Phi(x) and its derivative."""
    return _with_slope(_gelu32 if x.dtype == np.float32 else _gelu, x)


def gelu_tanh(x: Array) -> tuple[Array, Array]:
    """GELU in its tanh approximation, and its derivative."""
    return _with_slope(_gelu_tanh, x)


def silu(x: Array) -> tuple[Array, Array]:
    """x sigmoid(x), and its derivative."""
    return _with_slope(_silu, x)


@jit
def _softmax(x, y):  # type: ignore[no-untyped-def]
    n, width = x.shape
    for i in range(n):
        top = x[i, 0]
        for j in range(1, width):
            top = max(top, x[i, j])
        total = x.dtype.type(0)
        for j in range(width):
            e = exp(x[i, j] - top)
            y[i, j] = e
            total += e
        scale = x.dtype.type(1) / total
        for j in range(width):
            y[i, j] *= scale


@jit
def _softmax_backward(g, y, d):  # type: ignore[no-untyped-def]
    n, width = g.shape
    for i in range(n):
        dot = g.dtype.type(0)
        for j in range(width):
            dot += g[i, j] * y[i, j]
        for j in range(width):
            d[i, j] = y[i, j] * (g[i, j] - dot)


@jit
def _log_softmax(x, y):  # type: ignore[no-untyped-def]
    n, width = x.shape
    for i in range(n):
        top = x[i, 0]
        for j in range(1, width):
            top = max(top, x[i, j])
        total = x.dtype.type(0)
        for j in range(width):
            total += exp(x[i, j] - top)
        shift = top + x.dtype.type(math.log(total))
        for j in range(width):
            y[i, j] = x[i, j] - shift


def softmax(x: Array) -> Array:
    """Softmax over the last axis."""
    y = np.empty(x.shape, x.dtype)
    if x.size:
        _softmax(rows(x), y.reshape(-1, x.shape[-1]))
    return y


def softmax_backward(g: Array, y: Array) -> Array:
    """y (g - sum g y)."""
    d = np.empty(g.shape, g.dtype)
    if g.size:
        _softmax_backward(rows(g), rows(y), d.reshape(-1, g.shape[-1]))
    return d


def log_softmax(x: Array) -> Array:
    """Log-softmax over the last axis."""
    y = np.empty(x.shape, x.dtype)
    if x.size:
        _log_softmax(rows(x), y.reshape(-1, x.shape[-1]))
    return y


@jit
def _relu(x, y):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = x[i] if (x[i] > 0) | (x[i] != x[i]) else x.dtype.type(0)


def relu(x: Array) -> Array:
    """max(x, 0)."""
    if x.dtype not in (np.float32, np.float64):
        return reference.relu.reference(x)
    y, entries = np.empty(x.shape, x.dtype), flat(x)
    result = y.reshape(-1)
    share(lambda i, j: _relu(entries[i:j], result[i:j]), x.size, x.size // 4)
    return y


@jit
def _relu_backward(g, y, d):  # type: ignore[no-untyped-def]
    for i in range(g.size):
        slope = g[i]  # read in any case, so that no branch has to be guessed
        d[i] = slope if y[i] > 0 else g.dtype.type(0)


def relu_backward(g: Array, y: Array) -> Array:
    """g where y is positive."""
    if g.dtype != y.dtype or g.dtype not in (np.float32, np.float64):
        return reference.relu_backward.reference(g, y)
    d, slopes, values = np.empty(g.shape, g.dtype), flat(g), flat(y)
    result = d.reshape(-1)
    share(lambda i, j: _relu_backward(slopes[i:j], values[i:j], result[i:j]), g.size, g.size // 4)
    return d
