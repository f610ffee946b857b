"""Kernels of attention and rotary positions. Shapes: batch B, heads H, queries L, keys S, width E."""

import numpy as np

from lmbook.backend.table import kernel

Array = np.ndarray


@kernel
def masked_softmax(scores: Array, mask: Array | None, causal: bool) -> Array:
    """Softmax over the last axis of scores (B, H, L, S) plus a mask; a row masked whole becomes 0.

    `causal` also hides key j from query i for j > i. The scores are overwritten.
    """
    if mask is not None:
        scores += mask
    if causal:
        queries, keys = scores.shape[-2:]
        np.copyto(
            scores, -np.inf, where=np.triu(np.ones_like(scores, bool, shape=(queries, keys)), 1)
        )
    top = scores.max(axis=-1, keepdims=True) if scores.size else scores[..., :1]
    scores -= np.where(np.isfinite(top), top, 0)
    np.exp(scores, out=scores)
    total = scores.sum(axis=-1, keepdims=True)
    scores /= np.where(total == 0, 1, total)
    return scores


@kernel
def attention(
    q: Array, k: Array, v: Array, mask: Array | None, causal: bool, scale: float
) -> tuple[Array, Array]:
    """softmax(q k^T scale + mask) v and the softmax: q (B, H, L, E), k (B, H, S, E), v (B, H, S, F)."""
    scores = q @ k.swapaxes(-1, -2)
    scores *= q.dtype.type(scale)
    p = masked_softmax(scores, mask, causal)
    return p @ v, p


@kernel
def attention_backward(
    g: Array, q: Array, k: Array, v: Array, p: Array, scale: float
) -> tuple[Array, Array, Array]:
    """Gradients of q, k, v, through dS = p (dP - sum dP p) with dP = g v^T."""
    dv = p.swapaxes(-1, -2) @ g
    ds = g @ v.swapaxes(-1, -2)
    ds *= p
    ds -= p * ds.sum(axis=-1, keepdims=True)
    ds *= q.dtype.type(scale)
    return ds @ k, ds.swapaxes(-1, -2) @ q, dv


@kernel
def rotate(x: Array, cos: Array, sin: Array) -> Array:
    """Turn the pair (x[i], x[i + E/2]) of each vector (..., T, E) by the angle of (cos, sin) (T, E/2)."""
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)
