"""Kernels of the optimisers: each updates a parameter and its state in place, in one pass."""

import numpy as np

from lmbook.backend.table import kernel

Array = np.ndarray


@kernel
def sgd_step(
    p: Array,
    g: Array,
    velocity: Array | None,
    lr: float,
    momentum: float,
    decay: float,
    nesterov: bool,
    dampening: float = 0.0,
) -> None:
    """v <- momentum v + (1 - dampening) g;  p <- p - lr v, or p - lr (g + momentum v) if `nesterov`.

    g includes decay * p; without `velocity`, p <- p - lr g.
    """
    t = p.dtype.type
    if decay:
        g = g + t(decay) * p
    if velocity is not None:
        velocity *= t(momentum)
        velocity += t(1 - dampening) * g if dampening else g
        g = g + t(momentum) * velocity if nesterov else velocity
    p -= t(lr) * g


@kernel
def adam_step(
    p: Array, g: Array, m: Array, v: Array,
    lr: float, beta1: float, beta2: float, eps: float, decay: float, decoupled: bool, step: int,
    largest: Array | None = None,
) -> None:  # fmt: skip
    """m <- b1 m + (1-b1) g;  v <- b2 v + (1-b2) g^2;  p <- p - lr m^ / (sqrt(v^) + eps).

    m^ = m / (1 - b1^step), v^ = v / (1 - b2^step). `decay` is added to the gradient, or, if
    `decoupled` (AdamW), shrinks p by lr * decay first. `largest`, if given, holds the largest v of each
    entry so far and takes its place (AMSGrad).
    """
    t = p.dtype.type
    if decay and decoupled:
        p *= t(1 - lr * decay)
    elif decay:
        g = g + t(decay) * p
    m *= t(beta1)
    m += t(1 - beta1) * g
    v *= t(beta2)
    square = np.square(g, out=np.empty_like(v))  # an array even for a parameter without axes
    square *= t(1 - beta2)
    v += square
    if largest is not None:
        v = np.maximum(largest, v, out=largest)
    np.sqrt(v, out=square)
    square *= t(1 / np.sqrt(1 - beta2**step))
    square += t(eps)
    np.divide(m, square, out=square)
    square *= t(lr / (1 - beta1**step))
    p -= square
