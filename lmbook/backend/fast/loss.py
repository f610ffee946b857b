"""Compiled kernels of the cross-entropy."""

import math

import numpy as np

from lmbook.backend.fast.compile import exp, jit

__all__ = ["cross_entropy", "cross_entropy_backward"]

Array = np.ndarray


@jit
def _cross_entropy(x, target, ignore, smoothing, loss, p):  # type: ignore[no-untyped-def]
    n, classes = x.shape
    t = x.dtype.type
    for i in range(n):
        top = x[i, 0]
        for j in range(1, classes):
            top = max(top, x[i, j])
        total, shifted = t(0), t(0)
        for j in range(classes):
            v = x[i, j] - top
            e = exp(v)
            p[i, j] = e
            total += e
            shifted += v
        scale = t(1) / total
        for j in range(classes):
            p[i, j] *= scale
        if target[i] == ignore:
            loss[i] = t(0)
        else:
            loss[i] = t(math.log(total)) - (t(1) - smoothing) * (x[i, target[i]] - top)
            loss[i] -= smoothing * shifted / t(classes)


def cross_entropy(
    logits: Array, target: Array, ignore_index: int, smoothing: float
) -> tuple[Array, Array]:
    """Loss of each row, and softmax(logits)."""
    x = np.ascontiguousarray(logits)
    p, loss = np.empty(x.shape, x.dtype), np.empty(len(x), x.dtype)
    if x.size:
        _cross_entropy(x, target, ignore_index, x.dtype.type(smoothing), loss, p)
    return loss, p


@jit
def _cross_entropy_backward(g, p, target, ignore, smoothing, d):  # type: ignore[no-untyped-def]
    n, classes = p.shape
    t = p.dtype.type
    share = smoothing / t(classes)
    for i in range(n):
        scale = t(0) if target[i] == ignore else g[i]
        for j in range(classes):
            d[i, j] = (p[i, j] - share) * scale
        if target[i] != ignore:
            d[i, target[i]] -= (t(1) - smoothing) * scale


def cross_entropy_backward(
    g: Array, p: Array, target: Array, ignore_index: int, smoothing: float
) -> Array:
    """(p - q) g, row by row."""
    d = np.empty(p.shape, p.dtype)
    g = np.ascontiguousarray(np.broadcast_to(g, (len(p),)))
    _cross_entropy_backward(g, p, target, ignore_index, p.dtype.type(smoothing), d)
    return d
