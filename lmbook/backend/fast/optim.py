"""Compiled optimiser steps: one pass over parameter, gradient and state."""

import math

import numpy as np

from lmbook.backend.fast.compile import flat, jit
from lmbook.backend.fast.threads import share
from lmbook.backend.kernels import optim as reference

__all__ = ["adam_step", "sgd_step"]

Array = np.ndarray


@jit
def _sgd(p, g, v, lr, momentum, decay, fresh, heavy, nesterov):  # type: ignore[no-untyped-def]
    for i in range(p.size):
        d = g[i] + decay * p[i]
        if heavy:
            v[i] = momentum * v[i] + fresh * d
            d = d + momentum * v[i] if nesterov else v[i]
        p[i] -= lr * d


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
    """One step of SGD, in place."""
    if not p.flags.c_contiguous:
        return reference.sgd_step.reference(
            p, g, velocity, lr, momentum, decay, nesterov, dampening
        )
    t = p.dtype.type
    v = np.empty(0, p.dtype) if velocity is None else velocity.reshape(-1)
    numbers = (t(lr), t(momentum), t(decay), t(1 - dampening))
    _sgd(p.reshape(-1), flat(g), v, *numbers, velocity is not None, nesterov)


@jit
def _adam(p, g, m, v, keep, decay, b1, b2, root, eps, rate):  # type: ignore[no-untyped-def]
    one = p.dtype.type(1)
    for i in range(p.size):
        d = g[i] + decay * p[i]
        m[i] = b1 * m[i] + (one - b1) * d
        v[i] = b2 * v[i] + (one - b2) * d * d
        p[i] = p[i] * keep - rate * m[i] / (np.sqrt(v[i]) * root + eps)


def adam_step(
    p: Array, g: Array, m: Array, v: Array,
    lr: float, beta1: float, beta2: float, eps: float, decay: float, decoupled: bool, step: int,
    largest: Array | None = None,
) -> None:  # fmt: skip
    """One step of Adam or AdamW, in place; AMSGrad's is the reference's."""
    if not p.flags.c_contiguous or largest is not None:
        return reference.adam_step.reference(
            p, g, m, v, lr, beta1, beta2, eps, decay, decoupled, step, largest
        )
    t = p.dtype.type
    numbers = (
        t(1 - lr * decay) if decoupled else t(1), t(0) if decoupled else t(decay), t(beta1),
        t(beta2), t(1 / math.sqrt(1 - beta2**step)), t(eps), t(lr / (1 - beta1**step)),
    )  # fmt: skip
    arrays = (p.reshape(-1), flat(g), m.reshape(-1), v.reshape(-1))

    def run(i: int, j: int) -> None:
        _adam(*(x[i:j] for x in arrays), *numbers)  # type: ignore[call-arg]

    share(run, p.size, p.size)
