"""Compiled attention, block by block of queries, and rotary positions."""

from typing import Any

import numpy as np

from lmbook.backend.fast.blas import PLAIN, TURNED, address, call
from lmbook.backend.fast.compile import exp, jit, place, rows
from lmbook.backend.kernels import attention as reference

__all__ = ["attention", "attention_backward", "masked_softmax", "rotate"]

Array = np.ndarray


@jit
def _softmax_row(row, seen):  # type: ignore[no-untyped-def]
    """Softmax of the first entries, zero behind them."""
    zero = row.dtype.type(0)
    top = row[0]
    for j in range(1, seen):
        top = max(top, row[j])
    if top == -np.inf:
        top = zero
    total = zero
    for j in range(seen):
        e = exp(row[j] - top)
        row[j] = e
        total += e
    scale = row.dtype.type(1) / total if total > zero else zero
    for j in range(seen):
        row[j] *= scale
    for j in range(seen, row.size):
        row[j] = zero


@jit
def _masked_softmax(s, mask, masked, causal):  # type: ignore[no-untyped-def]
    planes, queries, keys = s.shape
    for plane in range(planes):
        for i in range(queries):
            row = s[plane, i]
            seen = min(keys, i + 1) if causal else keys
            if masked:
                for j in range(seen):
                    row[j] += mask[plane % mask.shape[0], i, j]
            _softmax_row(row, seen)


def masked_softmax(scores: Array, mask: Array | None, causal: bool) -> Array:
    """Softmax over the last axis of the masked scores (B, H, L, S), in place."""
    s = np.ascontiguousarray(scores)
    if not s.size:
        return s
    queries, keys = s.shape[-2:]
    planes = s.reshape(-1, queries, keys)
    if mask is None:
        m = np.empty((1, 1, 1), s.dtype)
    elif mask.ndim < 3 or all(n == 1 for n in mask.shape[:-2]):
        m = np.ascontiguousarray(np.broadcast_to(mask.reshape(mask.shape[-2:]), (queries, keys)))[
            None
        ]
    else:
        m = np.ascontiguousarray(np.broadcast_to(mask, s.shape)).reshape(planes.shape)
    _masked_softmax(planes, m.astype(s.dtype, copy=False), mask is not None, causal)
    return s


ROWS = 32  # queries that are worked on together: their scores stay in the cache


@jit
def _attention(blas, shape, q, qs, k, ks, v, vs, y, ys, p, causal, scale):  # type: ignore[no-untyped-def]
    batch, heads, queries, keys, width, out = shape
    t, size = p.dtype.type, p.itemsize
    for plane in range(batch * heads):
        b, h = plane // heads, plane % heads
        key, value = k + b * ks[0] + h * ks[1], v + b * vs[0] + h * vs[1]
        for first in range(0, queries, ROWS):
            rows = min(ROWS, queries - first)
            seen = min(keys, first + rows) if causal else keys  # later keys are hidden from all
            scores = p[b, h, first : first + rows]
            call(
                blas, PLAIN, TURNED, rows, seen, width, scale,
                q + b * qs[0] + h * qs[1] + first * qs[2], qs[2] // size,
                key, ks[2] // size, t(0), scores.ctypes.data, keys,
            )  # fmt: skip
            for i in range(rows):
                _softmax_row(scores[i], min(keys, first + i + 1) if causal else keys)
            call(
                blas, PLAIN, PLAIN, rows, out, seen, t(1), scores.ctypes.data, keys,
                value, vs[2] // size, t(0),
                y + b * ys[0] + h * ys[1] + first * ys[2], ys[2] // size,
            )  # fmt: skip


@jit
def _seen(p, enough):  # type: ignore[no-untyped-def]
    """How many keys these queries look at: `enough` if no later one has any weight, else all."""
    for i in range(p.shape[0]):
        for j in range(enough, p.shape[1]):
            if p[i, j] != 0:
                return p.shape[1]
    return min(enough, p.shape[1])


@jit
def _attention_backward(  # type: ignore[no-untyped-def]
    blas, shape, g, gs, q, qs, k, ks, v, vs, p, dq, dqs, dk, dks, dv, dvs, ds, scale
):
    batch, heads, queries, keys, width, out = shape
    t, size = p.dtype.type, p.itemsize
    for plane in range(batch * heads):
        b, h = plane // heads, plane % heads
        key, value = k + b * ks[0] + h * ks[1], v + b * vs[0] + h * vs[1]
        dkey, dvalue = dk + b * dks[0] + h * dks[1], dv + b * dvs[0] + h * dvs[1]
        for first in range(0, queries, ROWS):
            rows = min(ROWS, queries - first)
            part = p[b, h, first : first + rows]
            seen = _seen(part, first + rows)
            query = q + b * qs[0] + h * qs[1] + first * qs[2]
            came = g + b * gs[0] + h * gs[1] + first * gs[2]
            call(
                blas, PLAIN, TURNED, rows, seen, out, t(1), came, gs[2] // size,
                value, vs[2] // size, t(0), ds.ctypes.data, keys,
            )  # fmt: skip
            for i in range(rows):
                dot = t(0)
                for j in range(seen):
                    dot += ds[i, j] * part[i, j]
                for j in range(seen):
                    ds[i, j] = part[i, j] * (ds[i, j] - dot) * scale
            call(
                blas, PLAIN, PLAIN, rows, width, seen, t(1), ds.ctypes.data, keys, key,
                ks[2] // size, t(0), dq + b * dqs[0] + h * dqs[1] + first * dqs[2],
                dqs[2] // size,
            )  # fmt: skip
            call(
                blas, TURNED, PLAIN, seen, width, rows, t(1), ds.ctypes.data, keys, query,
                qs[2] // size, t(1), dkey, dks[2] // size,
            )  # fmt: skip
            call(
                blas, TURNED, PLAIN, seen, out, rows, t(1), part.ctypes.data, keys, came,
                gs[2] // size, t(1), dvalue, dvs[2] // size,
            )  # fmt: skip


def _place(x: Array) -> tuple[int, tuple[int, ...]]:
    """Where an array stands and how far apart batches, heads and rows are."""
    batch, head, row, _ = x.strides  # of a single row numpy may say anything
    return place(x), (batch, head, max(row, x.shape[-1] * x.itemsize))


def _dense_rows(x: Array) -> Array:
    """x, copied unless its rows lie densely and without overlap."""
    row, step = x.strides[-2:]
    good = x.flags.c_contiguous or (step == x.itemsize and row >= x.shape[-1] * step)
    return x if good else np.ascontiguousarray(x)


def _heads_apart(n: int, heads: int, length: int, width: int, make: Any, dtype: Any) -> Array:
    """Room for (N, H, L, E), the heads of a position side by side in memory as layers want them."""
    return make((n, length, heads, width), dtype).swapaxes(1, 2)


def attention(
    q: Array, k: Array, v: Array, mask: Array | None, causal: bool, scale: float
) -> tuple[Array, Array]:
    """softmax(q k^T scale + mask) v and the softmax, block by block of queries."""
    blas = address(q, k, v)
    if blas is None or mask is not None or not (q.size and k.size and v.size):
        return reference.attention.reference(q, k, v, mask, causal, scale)
    q, k, v = _dense_rows(q), _dense_rows(k), _dense_rows(v)
    n, heads, queries, width = q.shape
    keys, out = v.shape[-2:]
    y = _heads_apart(n, heads, queries, out, np.empty, q.dtype)
    p = np.empty((n, heads, queries, keys), q.dtype)
    shape = (n, heads, queries, keys, width, out)
    places = (*_place(q), *_place(k), *_place(v), *_place(y))
    _attention(blas, shape, *places, p, causal, q.dtype.type(scale))
    return y, p


def attention_backward(
    g: Array, q: Array, k: Array, v: Array, p: Array, scale: float
) -> tuple[Array, Array, Array]:
    """Gradients of q, k, v."""
    blas = address(g, q, k, v, p)
    if blas is None or not (q.size and k.size and v.size):
        return reference.attention_backward.reference(g, q, k, v, p, scale)
    g, q, k, v = _dense_rows(g), _dense_rows(q), _dense_rows(k), _dense_rows(v)
    p = np.ascontiguousarray(p)
    n, heads, queries, width = q.shape
    keys, out = v.shape[-2:]
    dq = _heads_apart(n, heads, queries, width, np.empty, q.dtype)
    dk = _heads_apart(n, heads, keys, width, np.zeros, q.dtype)
    dv = _heads_apart(n, heads, keys, out, np.zeros, q.dtype)
    ds = np.empty((min(ROWS, queries), keys), q.dtype)
    shape = (n, heads, queries, keys, width, out)
    places = (*_place(g), *_place(q), *_place(k), *_place(v))
    results = (*_place(dq), *_place(dk), *_place(dv))
    _attention_backward(blas, shape, *places, p, *results, ds, q.dtype.type(scale))
    return dq, dk, dv


@jit
def _rotate(x, cos, sin, y):  # type: ignore[no-untyped-def]
    n, width = x.shape
    half = width // 2
    for i in range(n):
        t = i % cos.shape[0]
        for j in range(half):
            a, b = x[i, j], x[i, j + half]
            y[i, j] = a * cos[t, j] - b * sin[t, j]
            y[i, j + half] = b * cos[t, j] + a * sin[t, j]


def rotate(x: Array, cos: Array, sin: Array) -> Array:
    """Turn pairs of features by the angles of (cos, sin) (T, E / 2)."""
    y = np.empty(x.shape, x.dtype)
    if x.size:
        _rotate(rows(x), np.ascontiguousarray(cos), np.ascontiguousarray(sin), rows(y))
    return y
