"""Scaled dot-product attention and rotary positions.

Shapes: N batch, H query heads, K key heads, L queries, S keys, E width of keys, F of values.
"""

import math
from typing import Any

import numpy as np

from lmbook.autograd import Tensor, primitive
from lmbook.autograd.tensor import raw
from lmbook.backend import DTypeError, ShapeError, asarray, default_generator
from lmbook.backend.kernels import attention as k
from lmbook.backend.kernels import dense


@primitive
def _attention(q, key, value, mask, causal, scale, keep):  # type: ignore[no-untyped-def]
    """softmax(q k^T scale + mask) v, with dropout on the softmax."""
    if keep == 1:
        y, p = k.attention(q, key, value, mask, causal, scale)
    else:
        scores = q @ key.swapaxes(-1, -2)
        scores *= q.dtype.type(scale)
        p = k.masked_softmax(scores, mask, causal)
        dropped, kept = dense.dropout(p, keep, default_generator())
        y = dropped @ value

    def pull(g, needs):  # type: ignore[no-untyped-def]
        if keep == 1:
            return (*k.attention_backward(g, q, key, value, p, scale), None, None, None, None)
        dv = dropped.swapaxes(-1, -2) @ g
        ds = dense.dropout_backward(g @ value.swapaxes(-1, -2), kept, keep) * p
        ds -= p * ds.sum(axis=-1, keepdims=True)
        ds *= q.dtype.type(scale)
        return ds @ key, ds.swapaxes(-1, -2) @ q, dv, None, None, None, None

    return y, pull


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(Q K^T / sqrt(E) + mask) V (Vaswani et al. 2017).

    Shapes: query (..., H, L, E), key (..., K, S, E), value (..., K, S, F), result (..., H, L, F).
    `attn_mask` is broadcast to (..., H, L, S): boolean, true where a query may look, or numbers that
    are added to the scores. `is_causal` lets query i see keys 0 to i. With `enable_gqa`, each key
    head serves H / K query heads (Ainslie et al. 2023). A query that may look nowhere returns 0.
    """
    lead, (length, width) = query.shape[:-2], query.shape[-2:]
    if key.shape[-1] != width or key.shape[-2] != value.shape[-2]:
        raise ShapeError(
            f"scaled_dot_product_attention: query {query.shape}, key {key.shape}, value {value.shape}: "
            "query and key must have the same width (last axis), key and value the same length"
        )
    if attn_mask is not None and is_causal:
        raise ValueError("scaled_dot_product_attention: give attn_mask or is_causal, not both")
    group = 1
    if enable_gqa:
        heads, shared = query.shape[-3], key.shape[-3]
        if heads % shared:
            raise ShapeError(
                f"scaled_dot_product_attention: {heads} query heads are no multiple of {shared} key heads"
            )
        group = heads // shared
    elif lead != key.shape[:-2]:
        raise ShapeError(
            f"scaled_dot_product_attention: query {query.shape} and key {key.shape} differ in batch or "
            "heads; for fewer key heads pass enable_gqa=True"
        )
    mask = _additive(attn_mask, query.dtype)
    causal = is_causal
    q = query
    if group > 1:  # the queries that share a key head stand one below the other
        q = query.reshape(*key.shape[:-2], group * length, width)
        mask, causal = (
            _tile(mask, group, length, key.shape[-2], key.shape[:-2], is_causal, query.dtype),
            False,
        )
    q4, k4, v4 = (_four(t) for t in (q, key, value))
    if mask is not None and mask.ndim > 4:
        mask = np.broadcast_to(mask, (*q.shape[:-1], key.shape[-2]))
        mask = mask.reshape(-1, *mask.shape[-3:])
    scale = 1 / math.sqrt(width) if scale is None else scale
    y = _attention(q4, k4, v4, mask, causal, scale, 1.0 - dropout_p)
    return y if q is query and y.ndim == query.ndim else y.reshape(*lead, length, value.shape[-1])


def _four(x: Tensor) -> Tensor:
    if x.ndim == 4:
        return x
    if x.ndim > 4:
        return x.reshape(-1, *x.shape[-3:])
    return x.reshape((1,) * (4 - x.ndim) + x.shape)


def _additive(mask: Any, dtype: np.dtype) -> np.ndarray | None:
    """A boolean mask as 0 where true and minus infinity elsewhere; numbers as they are."""
    m = raw(mask)
    if m is None:
        return None
    m = asarray(m)
    if m.dtype == np.bool_:
        return np.where(m, dtype.type(0), dtype.type(-np.inf))
    if m.dtype.kind != "f":
        raise DTypeError(f"attention: a mask must be boolean or floating-point, got {m.dtype}")
    return m.astype(dtype, copy=False)


def _tile(
    mask: np.ndarray | None,
    group: int,
    queries: int,
    keys: int,
    lead: tuple[int, ...],
    causal: bool,
    dtype: np.dtype,
) -> np.ndarray | None:
    """The mask for `group` blocks of queries below one another."""
    if causal:
        mask = _additive(np.tril(np.ones((queries, keys), bool)), dtype)
    if mask is None:
        return None
    if mask.ndim >= 3 and mask.shape[-3] != 1:  # one mask for each query head
        full = np.broadcast_to(mask, (*mask.shape[:-2], queries, keys))
        return full.reshape(*full.shape[:-3], lead[-1], group * queries, keys)
    return np.tile(np.broadcast_to(mask, (*mask.shape[:-2], queries, keys)), (group, 1))


@primitive
def _rotate(x, cos, sin):  # type: ignore[no-untyped-def]
    """Rotate pairs of features; the gradient is rotated back."""
    return k.rotate(x, cos, sin), lambda g, needs: (k.rotate(g, cos, -sin), None, None)


def rotary(x: Tensor, cos: Any, sin: Any) -> Tensor:
    """Rotary position embedding: turn the pair (x[i], x[i + E/2]) by an angle that grows with position.

    Shapes: x (..., T, E), cos and sin (T, E/2). Source: Su et al. 2021, with the pairing that Llama's
    published checkpoints use.
    """
    c, s = asarray(raw(cos)), asarray(raw(sin))
    if x.shape[-1] % 2 or c.shape != (x.shape[-2], x.shape[-1] // 2):
        raise ShapeError(
            f"rotary: input {x.shape} needs an even width and angles of shape (length, width / 2) = "
            f"{(x.shape[-2], x.shape[-1] // 2)}, got {c.shape}"
        )
    return _rotate(x, c.astype(x.dtype, copy=False), s.astype(x.dtype, copy=False))
