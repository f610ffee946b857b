"""Rungs 3, 4, 5 and 10, prefix sums and top-k: threads that must agree on something."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmbook.backend import namespace
from lmbook.gpu.errors import LaunchError
from lmbook.gpu.kernels.ladder import Launch, Plan, Rung, blocks, normal

Array = Any
THREADS = 256

# --- sum

reduction = Rung(
    "reduction", "Sum: divergence, banks and shuffles",
    lambda x: (np.array([x.sum(dtype=np.float64)]),), lambda rng, n: (normal(rng, n),),
    (1, 255, 1000, 3000), 1e-4,
)  # fmt: skip


def _reduce(name: str, x: Array) -> Plan:
    total = namespace(x).zeros(1, x.dtype)
    grid = min(8, blocks(x.size, THREADS)) if name == "reduce5_grid" else blocks(x.size, THREADS)
    return Plan([Launch(name, grid, THREADS, (x, total, x.size))], (total,))


for _name in ("reduce1_interleaved", "reduce2_strided", "reduce3_sequential", "reduce4_shuffle",
              "reduce5_grid"):  # fmt: skip
    reduction.version(_name)(lambda x, name=_name: _reduce(name, x))

# --- softmax


def softmax_reference(x: np.ndarray) -> tuple[np.ndarray]:
    """exp(x - max) over its sum, along rows."""
    e = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    return (e / e.sum(axis=1, keepdims=True),)


def _softmax_sample(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray]:
    """Rows far from 0; a third has the left half masked, a third the right half."""
    x = 3 * normal(rng, *size) + np.rint(80 * normal(rng, size[0], 1))
    half = size[1] // 2
    x[::3, :half] = x[1::3, size[1] - half :] = -np.inf
    return (x,)


softmax = Rung(
    "softmax", "Softmax: rows and warps", softmax_reference,
    _softmax_sample, ((1, 1), (5, 33), (131, 70), (3, 600)),
)  # fmt: skip


def _softmax(name: str, x: Array) -> Plan:
    rows, n = x.shape
    if name == "softmax4_registers" and n > 1024:
        raise LaunchError(f"{name}: rows of {n}; a warp's registers hold 1024: use softmax3_online")
    y = namespace(x).zeros_like(x)
    grid = blocks(rows, 128) if name == "softmax1_thread" else blocks(rows, 4)
    return Plan([Launch(name, grid, 128, (x, y, rows, n))], (y,))


for _name in ("softmax1_thread", "softmax2_warp", "softmax3_online", "softmax4_registers"):
    softmax.version(_name)(lambda x, name=_name: _softmax(name, x))

# --- layer normalisation


def layer_norm_reference(x: Array, weight: Array, bias: Array, eps: float = 1e-5) -> tuple[Any]:
    """(x - mean) / sqrt(variance + eps) * weight + bias, along rows."""
    x = x.astype(np.float64)
    centred = x - x.mean(axis=1, keepdims=True)
    return (centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + eps) * weight + bias,)


layer_norm = Rung(
    "layer_norm", "Layer normalisation: read the row once", layer_norm_reference,
    lambda rng, size: (normal(rng, *size) + 2, normal(rng, size[1]), normal(rng, size[1])),
    ((1, 2), (5, 33), (130, 70), (3, 300)), 1e-4,
)  # fmt: skip


def _layer_norm(name: str, x: Array, weight: Array, bias: Array, eps: float = 1e-5) -> Plan:
    rows, n = x.shape
    y = namespace(x).zeros_like(x)
    grid = blocks(rows, 128) if name == "layer_norm1_thread" else rows
    shared = 4 * n if name == "layer_norm3_staged" else 0
    return Plan([Launch(name, grid, 128, (x, weight, bias, y, rows, n, eps), shared)], (y,))


for _name in ("layer_norm1_thread", "layer_norm2_block", "layer_norm3_staged"):
    layer_norm.version(_name)(
        lambda x, weight, bias, eps=1e-5, name=_name: _layer_norm(name, x, weight, bias, eps)
    )

# --- the gradient of an embedding


def embedding_reference(ids: Array, dy: Array, vocabulary: int) -> tuple[Any]:
    """dw[ids[t]] += dy[t] over all tokens."""
    dw = np.zeros((vocabulary, dy.shape[1]))
    np.add.at(dw, ids, dy)
    return (dw,)


def _embedding_sample(rng: np.random.Generator, size: tuple[int, int, int]) -> tuple[Any, ...]:
    tokens, vocabulary, d = size
    return rng.integers(0, vocabulary, tokens).astype(np.int32), normal(rng, tokens, d), vocabulary


embedding = Rung(
    "embedding", "Gradient of an embedding: atomics or order", embedding_reference,
    _embedding_sample, ((1, 1, 1), (50, 7, 33), (40, 90, 70)), 1e-4,
)  # fmt: skip


@embedding.version("embedding1_atomic")
def _embedding_atomic(ids: Array, dy: Array, vocabulary: int) -> Plan:
    (tokens, d), xp = dy.shape, namespace(dy)
    dw = xp.zeros((vocabulary, d), dy.dtype)
    return Plan([Launch("embedding1_atomic", tokens, 64, (ids, dy, dw, tokens, d))], (dw,))


@embedding.version("embedding2_gather")
def _embedding_gather(ids: Array, dy: Array, vocabulary: int) -> Plan:
    (tokens, d), xp = dy.shape, namespace(dy)
    dw = xp.zeros((vocabulary, d), dy.dtype)
    return Plan([Launch("embedding2_gather", vocabulary, 64, (ids, dy, dw, tokens, d))], (dw,))


@embedding.version("embedding3_sorted")
def _embedding_sorted(ids: Array, dy: Array, vocabulary: int) -> Plan:
    (_, d), xp = dy.shape, namespace(dy)
    dw = xp.zeros((vocabulary, d), dy.dtype)
    order = xp.argsort(ids, kind="stable").astype(np.int32)
    start = xp.searchsorted(ids[order], xp.arange(vocabulary + 1, dtype=np.int32)).astype(np.int32)
    return Plan([Launch("embedding3_sorted", vocabulary, 64, (order, start, dy, dw, d))], (dw,))


# --- prefix sums

scan = Rung(
    "scan", "Prefix sums: work against rounds", lambda x: (np.cumsum(x, dtype=np.float64),),
    lambda rng, n: (normal(rng, n),), (1, 256, 1000, 9000), 1e-4,
)  # fmt: skip


def _scan(name: str, x: Array) -> Plan:
    xp, n = namespace(x), x.size
    count = blocks(n, THREADS)
    y, sums = xp.zeros_like(x), xp.zeros(count, x.dtype)
    return Plan(
        [
            Launch(name, count, THREADS, (x, y, sums, n)),
            Launch("scan4_totals", 1, 32, (sums, count)),
            Launch("scan4_add", count, THREADS, (y, sums, n)),
        ],
        (y,),
    )


for _name in ("scan1_hillis", "scan2_blelloch", "scan3_shuffle"):
    scan.version(_name)(lambda x, name=_name: _scan(name, x))

# --- top-k


def topk_reference(x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest of each row and where they stand; of equals the one further left first."""
    order = np.argsort(-x, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(x, order, axis=1), order


def _topk_sample(rng: np.random.Generator, size: tuple[int, int, int]) -> tuple[Any, ...]:
    """Rows with equal numbers; every second one lies below zero, and the first is masked but for a tenth."""
    x = np.round(2 * normal(rng, *size[:2]), 1)
    x[1::2] -= 20
    x[0, size[1] // 10 :] = -np.inf
    return x, size[2]


topk = Rung(
    "topk", "Top-k: search or sort", topk_reference,
    _topk_sample,
    ((1, 1, 1), (3, 50, 7), (5, 300, 20), (2, 1024, 3)),
)  # fmt: skip


def _topk(name: str, x: Array, k: int) -> Plan:
    rows, n = x.shape
    if not 1 <= k <= n <= 1024:
        raise LaunchError(f"{name}: needs 1 <= k <= n <= 1024, not k = {k} and n = {n}")
    xp = namespace(x)
    values, indices = xp.zeros((rows, k), x.dtype), xp.zeros((rows, k), np.int32)
    return Plan([Launch(name, rows, 128, (x, values, indices, n, k))], (values, indices))


for _name in ("topk1_rounds", "topk2_bitonic"):
    topk.version(_name)(lambda x, k, name=_name: _topk(name, x, k))
