"""Activation functions."""

from typing import Any

import numpy as np

from lmbook.autograd import Tensor, primitive
from lmbook.backend import DTypeError, ShapeError
from lmbook.backend.kernels import activation as k


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return x.sigmoid()


def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return x.tanh()


def relu(x: Tensor) -> Tensor:
    """max(0, x)."""
    return x.relu()


@primitive
def _leaky_relu(x, slope):  # type: ignore[no-untyped-def]
    """x, times `slope` where negative."""
    return np.where(x > 0, x, x * slope), (lambda g, needs: (np.where(x > 0, g, g * slope), None))


def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where positive, negative_slope * x elsewhere."""
    return _leaky_relu(x, negative_slope)


@primitive
def _relu6(x):  # type: ignore[no-untyped-def]
    """x limited to [0, 6]."""
    return np.clip(x, 0, 6), lambda g, needs: (np.where((x > 0) & (x < 6), g, 0),)


def relu6(x: Tensor) -> Tensor:
    """min(max(0, x), 6): what it gives fits into few bits (Krizhevsky 2010; Howard et al. 2017)."""
    return _relu6(_floating("relu6", x))


@primitive
def _hardsigmoid(x):  # type: ignore[no-untyped-def]
    """The sigmoid in three straight pieces."""
    sixth = x.dtype.type(1 / 6)
    return np.clip(x + 3, 0, 6) * sixth, lambda g, needs: (
        np.where((x > -3) & (x < 3), g * sixth, 0),
    )


def hardsigmoid(x: Tensor) -> Tensor:
    """relu6(x + 3) / 6 (Howard et al. 2019)."""
    return _hardsigmoid(_floating("hardsigmoid", x))


@primitive
def _hardswish(x):  # type: ignore[no-untyped-def]
    """x times the sigmoid in three straight pieces."""
    sixth = x.dtype.type(1 / 6)

    def pull(g, needs):  # type: ignore[no-untyped-def]
        slope = np.where(x >= 3, 1, (2 * x + 3) * sixth).astype(x.dtype, copy=False)
        return (np.where(x <= -3, 0, g * slope),)

    return x * np.clip(x + 3, 0, 6) * sixth, pull


def hardswish(x: Tensor) -> Tensor:
    """x relu6(x + 3) / 6: silu without an exponential (Howard et al. 2019, MobileNetV3)."""
    return _hardswish(_floating("hardswish", x))


@primitive
def _gelu(x, exact):  # type: ignore[no-untyped-def]
    """x times the normal distribution function of x."""
    if exact:
        y, slope = k.gelu(x)
        return y, lambda g, needs: (g * slope, None)
    y, kept = k.gelu_tanh(x)
    return y, lambda g, needs: (k.gelu_tanh_backward(g, kept), None)


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """x Phi(x), with the normal distribution function Phi; "tanh" approximates it, as GPT-2 does.

    Source: Hendrycks and Gimpel 2016.
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate={approximate!r} is neither 'none' nor 'tanh'")
    return _gelu(_floating("gelu", x), approximate == "none")


@primitive
def _silu(x):  # type: ignore[no-untyped-def]
    """x times sigmoid(x)."""
    y, slope = k.silu(x)
    return y, lambda g, needs: (g * slope,)


def silu(x: Tensor) -> Tensor:
    """x sigmoid(x), also called swish (Ramachandran et al. 2017)."""
    return _silu(_floating("silu", x))


@primitive
def _softplus(x):  # type: ignore[no-untyped-def]
    """log(1 + exp(x))."""
    return k.softplus(x), lambda g, needs: (g * (0.5 + 0.5 * np.tanh(0.5 * x)),)


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), a smooth ReLU."""
    return _softplus(_floating("softplus", x))


@primitive
def _softmax(x):  # type: ignore[no-untyped-def]
    """Softmax over the last axis."""
    y = k.softmax(x)
    return y, lambda g, needs: (k.softmax_backward(g, y),)


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim`: positive numbers that sum to one."""
    return _last(_softmax, _floating("softmax", x), dim)


@primitive
def _log_softmax(x):  # type: ignore[no-untyped-def]
    """Log-softmax over the last axis."""
    y = k.log_softmax(x)
    return y, lambda g, needs: (g - np.exp(y) * g.sum(axis=-1, keepdims=True),)


def log_softmax(x: Tensor, dim: int = -1) -> Tensor:
    """log(softmax(x)) along `dim`, without underflow."""
    return _last(_log_softmax, _floating("log_softmax", x), dim)


def glu(x: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b), where a and b are the halves of x along `dim` (Dauphin et al. 2016)."""
    if x.shape[dim] % 2:
        raise ShapeError(f"glu: axis {dim} of {x.shape} must be of even length, to be halved")
    a, b = x.split(x.shape[dim] // 2, dim)
    return a * b.sigmoid()


def _last(operation: Any, x: Tensor, dim: int) -> Tensor:
    if dim in (-1, x.ndim - 1):
        return operation(x)
    return operation(x.transpose(dim, -1)).transpose(dim, -1)


def _floating(name: str, x: Tensor) -> Tensor:
    if x.dtype.kind != "f":
        raise DTypeError(f"{name}: needs floating-point entries, got {x.dtype}; use x.float()")
    return x
