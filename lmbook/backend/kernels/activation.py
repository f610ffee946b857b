"""Kernels of the activation functions: value and derivative."""

import math
from functools import cache

import numpy as np

from lmbook.backend.memory import asarray, on_gpu
from lmbook.backend.table import kernel

Array = np.ndarray

_KNOTS = 2048  # of the table on [0, 6], beyond which erf is 1 in float64
_X = np.linspace(0.0, 6.0, _KNOTS + 1)
_ERF = np.array([math.erf(x) for x in _X])
_SLOPE = 2 / math.sqrt(math.pi) * np.exp(-_X * _X)


@cache
def _on_gpu() -> tuple[Array, ...]:
    """The table, copied once."""
    return asarray(_X), asarray(_ERF), asarray(_SLOPE)


@kernel
def erf(x: Array) -> Array:
    """Error function, by a Taylor polynomial about the nearest knot of a table; error below 1e-12.

    With h = x - x0 and s = erf'(x0): erf(x0) + s (h - x0 h^2 + (2 x0^2 - 1) h^3 / 3 + ...).
    """
    a = np.minimum(np.abs(x), 6.0).astype(np.float64, copy=False)
    knots, values, slopes = (_X, _ERF, _SLOPE) if not on_gpu(x) else _on_gpu()
    i = np.rint(np.fmin(a, 6.0) * (_KNOTS / 6.0)).astype(np.intp)  # NaN takes any knot
    x0 = knots[i]
    h = a - x0
    square = x0 * x0
    series = (3 - 2 * square) * x0 / 6 * h + (2 * square - 1) / 3
    y = values[i] + slopes[i] * h * (1 + h * (-x0 + h * series))
    return np.copysign(y, x).astype(x.dtype)


_INV_SQRT2 = 1 / math.sqrt(2.0)
_INV_SQRT2PI = 1 / math.sqrt(2.0 * math.pi)
_C = math.sqrt(2.0 / math.pi)


@kernel
def gelu(x: Array) -> tuple[Array, Array]:
    """x Phi(x) and its derivative Phi(x) + x phi(x), with the normal distribution's Phi and phi."""
    cdf = 0.5 * (1 + erf(x * x.dtype.type(_INV_SQRT2)))
    return x * cdf, cdf + x * np.exp(-0.5 * x * x) * x.dtype.type(_INV_SQRT2PI)


@kernel
def gelu_tanh(x: Array) -> tuple[Array, Array]:
    """GELU with Phi(x) taken as (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2; and its derivative."""
    square = x * x
    t = np.tanh(_C * x * (1 + 0.044715 * square))
    slope = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * (_C * (1 + 3 * 0.044715 * square))
    return (0.5 * x * (1 + t)).astype(x.dtype, copy=False), slope.astype(x.dtype, copy=False)


@kernel
def gelu_tanh_backward(g: Array, kept: Array) -> Array:
    """g times the derivative, which `gelu_tanh` gave beside the value; a variant may keep something else."""
    return g * kept


@kernel
def silu(x: Array) -> tuple[Array, Array]:
    """x sigmoid(x), and its derivative s + x s (1 - s)."""
    s = 0.5 + 0.5 * np.tanh(0.5 * x)
    y = x * s
    return y, s + y * (1 - s)


@kernel
def softplus(x: Array) -> Array:
    """log(1 + exp(x)), without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@kernel
def softmax(x: Array) -> Array:
    """exp(x) / sum exp(x) over the last axis, shifted by the maximum so that nothing overflows."""
    y = np.exp(x - x.max(axis=-1, keepdims=True))
    y /= y.sum(axis=-1, keepdims=True)
    return y


@kernel
def softmax_backward(g: Array, y: Array) -> Array:
    """y (g - sum g y): the Jacobian diag(y) - y y^T times g."""
    d = g * y
    d -= y * d.sum(axis=-1, keepdims=True)
    return d


@kernel
def log_softmax(x: Array) -> Array:
    """x - log sum exp(x) over the last axis."""
    y = x - x.max(axis=-1, keepdims=True)
    y -= np.log(np.exp(y).sum(axis=-1, keepdims=True))
    return y


@kernel
def relu(x: Array) -> Array:
    """max(x, 0)."""
    return np.maximum(x, 0)


@kernel
def relu_backward(g: Array, y: Array) -> Array:
    """g where y = relu(x) is positive, else 0."""
    return g * (y > 0)
