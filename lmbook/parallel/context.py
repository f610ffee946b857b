"""Context parallelism: long sequences, divided along the positions; only attention needs the others.

Ring attention passes keys and values round: each rank holds two blocks at a time, and its queries meet one
block after the other with a running softmax. All-gather attention collects all keys and values first.

A causal mask leaves the first positions little to do and the last ones much. Cut into 2p pieces, of which
rank r has pieces r and 2p - 1 - r, the work is the same for all. Sources: Liu et al. 2023 (ring attention);
Dubey et al. 2024 (Llama 3: all-gather, 2p pieces).

Shapes: q, k, v (N, H, T_r, D) on rank r; positions (T_r,).
"""

import math
from typing import Any

import numpy as np

from lmbook import functional as F
from lmbook.autograd import Tensor, primitive
from lmbook.distributed import Communicator, blocks
from lmbook.nn import Module
from lmbook.parallel.differentiable import gather_sum


def positions(length: int, ranks: int, balanced: bool = True) -> list[np.ndarray]:
    """Which positions each rank has: pieces r and 2p - 1 - r of 2p, or, unbalanced, block r of p."""
    if not balanced:
        ends = blocks(length, ranks)
        return [np.arange(ends[r], ends[r + 1]) for r in range(ranks)]
    ends = blocks(length, 2 * ranks)
    piece = [np.arange(ends[i], ends[i + 1]) for i in range(2 * ranks)]
    return [np.concatenate([piece[r], piece[2 * ranks - 1 - r]]) for r in range(ranks)]


def causal_work(parts: list[np.ndarray]) -> list[int]:
    """How many (query, key) pairs each rank computes under a causal mask."""
    return [int((part + 1).sum()) for part in parts]


def _scores(q, k, own, theirs, scale, causal):  # type: ignore[no-untyped-def]
    """Scores of my queries with some keys; minus infinity where a key comes after the query."""
    s = q @ k.swapaxes(-1, -2) * q.dtype.type(scale)
    if causal:
        s = np.where(own[:, None] >= theirs[None, :], s, q.dtype.type(-np.inf))
    return s


@primitive
def _ring_attention(q, k, v, *, comm, own, causal):  # type: ignore[no-untyped-def]
    """softmax(q K^T) V with K, V divided among the ranks.

    With m the largest score so far and l the sum of exp(score - m), a new block changes
    m' = max(m, block), l' = l e^(m - m') + sum e^(s - m'), and the output o likewise.
    """
    scale = 1 / math.sqrt(q.shape[-1])
    after, before = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size

    def shift(xs):  # type: ignore[no-untyped-def]
        return comm.sendrecv(xs, after, before) if comm.size > 1 else xs

    top = np.full((*q.shape[:-1], 1), -np.inf, q.dtype)
    total, out = np.zeros_like(top), np.zeros((*q.shape[:-1], v.shape[-1]), q.dtype)
    held = [k, v, own]
    for step in range(comm.size):
        s = _scores(q, held[0], own, held[2], scale, causal)
        new = np.maximum(top, s.max(axis=-1, keepdims=True, initial=-np.inf))
        safe = np.where(np.isfinite(new), new, q.dtype.type(0))  # a query that has seen nothing yet
        e, old = np.exp(s - safe), np.exp(top - safe)
        total = total * old + e.sum(axis=-1, keepdims=True)
        out, top = out * old + e @ held[1], new
        if step < comm.size - 1:
            held = shift(held)
    out = out / total
    log_sum = top + np.log(total)

    def pull(g, needs):  # type: ignore[no-untyped-def]
        """Round again: each block of keys travels with its gradient, which every rank adds to."""
        inner = (g * out).sum(axis=-1, keepdims=True)
        dq = np.zeros_like(q)
        held = [k, v, own, np.zeros_like(k), np.zeros_like(v)]
        for step in range(comm.size):
            p = np.exp(_scores(q, held[0], own, held[2], scale, causal) - log_sum)
            ds = p * (g @ held[1].swapaxes(-1, -2) - inner) * q.dtype.type(scale)
            dq += ds @ held[0]
            held[3] = held[3] + ds.swapaxes(-1, -2) @ q
            held[4] = held[4] + p.swapaxes(-1, -2) @ g
            # after the last block only the gradients go on, one step further, home
            held = shift(held) if step < comm.size - 1 else shift(held[3:])
        return dq, held[0], held[1]

    return out, pull


def ring_attention(
    q: Tensor, k: Tensor, v: Tensor, comm: Communicator, own: np.ndarray, is_causal: bool = True
) -> Tensor:
    """Attention of my queries to the keys of all ranks; `own` are my positions.

    Bytes, with n those of all keys and values: (p - 1) n forwards and (p - 1) n + p n backwards, and the
    positions beside them. Memory: two blocks, never the whole.
    """
    return _ring_attention(q, k, v, comm=comm, own=np.asarray(own), causal=is_causal)


def gathered_attention(
    q: Tensor, k: Tensor, v: Tensor, comm: Communicator, own: np.ndarray, is_causal: bool = True
) -> Tensor:
    """The same, with all keys and values gathered first: fewer steps, more memory.

    Bytes: (p - 1) n forwards (all-gather), (p - 1) n backwards (reduce-scatter).
    """
    mask = None
    k, v = gather_sum(k, comm, -2), gather_sum(v, comm, -2)
    if is_causal:
        mask = own[:, None] >= np.concatenate(comm.all_gather(np.asarray(own)))[None, :]
    return F.scaled_dot_product_attention(q, k, v, mask)


def context_parallel(
    model: Module, comm: Communicator, length: int, kind: str = "ring", balanced: bool = True
) -> np.ndarray:
    """Make a GPT's attention look at the tokens of all ranks; returns the positions that are this rank's.

        own = context_parallel(model, mesh["cp"], block_size)
        logits = model(Tensor(tokens[:, own]), positions=own)

    Changes every module with a method `attend(q, k, v, mask, dropout, causal)`, in place. The loss is the
    mean over this rank's tokens; average the gradients over the group. `kind`: "ring" or "gathered".
    """
    if kind not in ("ring", "gathered"):
        raise ValueError(f"context_parallel: kind {kind!r} is neither 'ring' nor 'gathered'")
    if (balanced and length % (2 * comm.size)) or length % comm.size:
        raise ValueError(
            f"context_parallel: {length} positions do not divide into {(1 + balanced) * comm.size} "
            "equal pieces, so that a mean over a rank's tokens would not weigh all alike"
        )
    own = positions(length, comm.size, balanced)[comm.rank]
    run = ring_attention if kind == "ring" else gathered_attention

    def attend(q: Tensor, k: Tensor, v: Tensor, mask: Any, dropout: float, causal: bool) -> Tensor:
        if mask is not None or dropout:
            raise ValueError("context_parallel: attention with a mask or dropout is not divided")
        return run(q, k, v, comm, own, is_causal=True)

    found = [m for m in model.modules() if hasattr(m, "attend")]
    if not found:
        raise ValueError(
            f"context_parallel: {type(model).__name__} has no module with a method attend"
        )
    for m in found:
        object.__setattr__(m, "attend", attend)
    return own
