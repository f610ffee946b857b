"""Kernels of the classification losses."""

import numpy as np

from lmbook.backend.memory import asarray
from lmbook.backend.table import kernel

Array = np.ndarray


@kernel
def cross_entropy(
    logits: Array, target: Array, ignore_index: int, smoothing: float
) -> tuple[Array, Array]:
    """Loss of each row of `logits` (rows, classes) against class numbers, and softmax(logits).

    -(1 - s) log p[target] - s mean(log p); rows whose target is `ignore_index` lose nothing.
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    p = np.exp(shifted)
    total = p.sum(axis=1, keepdims=True)
    p /= total
    keep = target != ignore_index
    rows = asarray(np.arange(len(logits)))
    loss = np.log(total[:, 0]) - (1 - smoothing) * shifted[rows, np.where(keep, target, 0)]
    if smoothing:
        loss -= smoothing * shifted.mean(axis=1)
    return loss * keep, p


@kernel
def cross_entropy_backward(
    g: Array, p: Array, target: Array, ignore_index: int, smoothing: float
) -> Array:
    """(p - q) g, row by row, where q is the smoothed target distribution."""
    keep = target != ignore_index
    rows = asarray(np.arange(len(p)))
    d = p - smoothing / p.shape[1] if smoothing else p.copy()
    d[rows, np.where(keep, target, 0)] -= 1 - smoothing
    d *= (g * keep)[:, None]
    return d
