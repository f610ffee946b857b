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
    """How many (query, key) pairs each rank needs under a causal mask."""
    return [int((part + 1).sum()) for part in parts]


def visible(own: np.ndarray, theirs: np.ndarray, causal: bool) -> tuple[slice, slice]:
    """Which of my queries see any of some keys, and which of these keys any query sees.

    Positions ascend, so it is the last queries and the first keys. With 2p pieces that is half of the
    pairs of every block but one's own.
    """
    if not causal or not len(own) or not len(theirs):
        return slice(0, len(own)), slice(0, len(theirs))
    first = int(np.searchsorted(own, theirs[0]))
    return slice(first, len(own)), slice(0, int(np.searchsorted(theirs, own[-1], "right")))


def ring_work(parts: list[np.ndarray], causal: bool = True) -> np.ndarray:
    """Pairs that each rank (row) computes in each step (column) of ring attention.

    In step s rank r has the keys of rank r - s. A step takes as long as its busiest rank.
    """
    p = len(parts)
    pairs = np.zeros((p, p), np.int64)
    for r, own in enumerate(parts):
        for step in range(p):
            rows, cols = visible(own, parts[(r - step) % p], causal)
            pairs[r, step] = (rows.stop - rows.start) * (cols.stop - cols.start)
    return pairs


def merge(
    out: np.ndarray, log_sum: np.ndarray, other: np.ndarray, other_log_sum: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Attention to two sets of keys from that to each: outputs (..., D), logs of the sums (..., 1).

    L = log(e^L1 + e^L2), o = e^(L1 - L) o1 + e^(L2 - L) o2. An empty set has L = minus infinity.
    """
    both = np.logaddexp(log_sum, other_log_sum)
    safe = np.where(np.isfinite(both), both, both.dtype.type(0))
    return out * np.exp(log_sum - safe) + other * np.exp(other_log_sum - safe), both


def _scores(q, k, own, theirs, causal):  # type: ignore[no-untyped-def]
    """Scores of queries with keys; minus infinity where a key comes after the query."""
    s = q @ k.swapaxes(-1, -2) * q.dtype.type(1 / math.sqrt(q.shape[-1]))
    if causal and theirs[-1] > own[0]:
        s = np.where(own[:, None] >= theirs[None, :], s, q.dtype.type(-np.inf))
    return s


class _Ring:
    """Blocks that go round: what I hold is sent on while I compute with it."""

    def __init__(self, comm: Communicator) -> None:
        self.comm, self.size = comm, comm.size
        self.after, self.before = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size

    def start(self, held: list[np.ndarray], tag: int) -> list[Any]:
        """Send what I hold to the next rank, and ask the one before for what it holds."""
        if self.size == 1:
            return [held]
        return [self.comm.isend(held, self.after, tag), self.comm.irecv(self.before, tag)]

    def finish(self, way: list[Any]) -> Any:
        """What has come."""
        if self.size == 1:
            return way[0]
        got = way[1].wait()
        way[0].wait()
        return got


KEYS, GRADIENTS = 0, 1


@primitive
def _ring_attention(q, k, v, *, comm, own, causal, pair_seconds):  # type: ignore[no-untyped-def]
    """softmax(q K^T) V with K, V divided among the ranks.

    With m the largest score so far and l the sum of exp(score - m), a new block changes
    m' = max(m, block), l' = l e^(m - m') + sum e^(s - m'), and the output o likewise.
    """
    ring = _Ring(comm)
    top = np.full((*q.shape[:-1], 1), -np.inf, q.dtype)
    total, out = np.zeros_like(top), np.zeros((*q.shape[:-1], v.shape[-1]), q.dtype)
    held = [k, v, own]
    for step in range(comm.size):
        way = ring.start(held, KEYS) if step < comm.size - 1 else None
        rows, cols = visible(own, held[2], causal)
        if rows.start < rows.stop and cols.stop:
            keys, values = held[0][..., cols, :], held[1][..., cols, :]
            s = _scores(q[..., rows, :], keys, own[rows], held[2][cols], causal)
            before = top[..., rows, :]
            new = np.maximum(before, s.max(axis=-1, keepdims=True))
            e, old = (
                np.exp(s - new),
                np.exp(before - new),
            )  # every row here sees a key: new is finite
            total[..., rows, :] = total[..., rows, :] * old + e.sum(axis=-1, keepdims=True)
            out[..., rows, :] = out[..., rows, :] * old + e @ values
            top[..., rows, :] = new
            _tell(comm, rows, cols, pair_seconds, "attention")
        if way is not None:
            held = ring.finish(way)
    out /= total
    log_sum = top + np.log(total)

    def pull(g, needs):  # type: ignore[no-untyped-def]
        """Round again: each block of keys is followed by its gradient, which every rank adds to."""
        inner = (g * out).sum(axis=-1, keepdims=True)
        dq, grads = np.zeros_like(q), [np.zeros_like(k), np.zeros_like(v)]
        held = [k, v, own]
        coming: list[Any] = []
        for step in range(comm.size):
            way = ring.start(held, KEYS) if step < comm.size - 1 else None
            rows, cols = visible(own, held[2], causal)
            dk = dv = None
            if rows.start < rows.stop and cols.stop:
                keys, values = held[0][..., cols, :], held[1][..., cols, :]
                mine, theirs = q[..., rows, :], g[..., rows, :]
                s = _scores(mine, keys, own[rows], held[2][cols], causal)
                p = np.exp(s - log_sum[..., rows, :])
                ds = p * (theirs @ values.swapaxes(-1, -2) - inner[..., rows, :])
                ds *= q.dtype.type(1 / math.sqrt(q.shape[-1]))
                dq[..., rows, :] += ds @ keys
                dk, dv = ds.swapaxes(-1, -2) @ mine, p.swapaxes(-1, -2) @ theirs
                _tell(comm, rows, cols, 2.5 * pair_seconds, "gradient")
            if coming:  # the gradients of this block, from the rank before
                grads = ring.finish(coming)
            if dk is not None:
                grads[0][..., cols, :] += dk
                grads[1][..., cols, :] += dv
            coming = ring.start(grads, GRADIENTS)  # after the last block one step further, home
            if way is not None:
                held = ring.finish(way)
        return dq, *ring.finish(coming)

    return out, pull


def _tell(comm: Communicator, rows: slice, cols: slice, pair_seconds: float, label: str) -> None:
    """Let a simulator know what a block takes; backwards five products stand for the two forwards."""
    if pair_seconds:
        pairs = (rows.stop - rows.start) * (cols.stop - cols.start)
        comm.compute(pairs * pair_seconds, label)


def ring_attention(
    q: Tensor, k: Tensor, v: Tensor, comm: Communicator, own: np.ndarray, is_causal: bool = True,
    *, pair_seconds: float = 0.0,
) -> Tensor:  # fmt: skip
    """Attention of my queries to the keys of all ranks; `own` are my positions, ascending.

    A block is sent on while it is used, and what the mask hides is not computed (`visible`).
    `pair_seconds` is the time of a (query, key) pair forwards, for the clock of a simulator.
    Bytes, with n those of all keys and values: (p - 1) n forwards and (p - 1) n + p n backwards, and the
    positions beside them. Memory: two blocks, never the whole.
    """
    own = np.asarray(own)
    if len(own) != q.shape[-2] or (np.diff(own) <= 0).any():
        raise ValueError(
            f"ring_attention: {q.shape[-2]} queries need as many positions, ascending; got {own.tolist()}"
        )
    return _ring_attention(q, k, v, comm=comm, own=own, causal=is_causal, pair_seconds=pair_seconds)


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
