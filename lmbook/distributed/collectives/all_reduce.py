"""The arrays of all ranks combined on every rank, in five ways that differ in steps, bytes and order.

Shapes: x is the same on every rank; n is its bytes, p the number of ranks.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from lmbook.distributed.collectives import broadcast, reduce
from lmbook.distributed.collectives.call import Call
from lmbook.distributed.collectives.operators import Operator
from lmbook.distributed.collectives.partition import blocks, named


def naive(c: Call, x: np.ndarray, combine: Operator) -> np.ndarray:
    """Reduce to rank 0 and broadcast, both one message after the other.

    Time 2 (p - 1)(alpha + n beta), bytes 2 (p - 1) n, all of them through rank 0.
    """
    return broadcast.naive(c, reduce.naive(c, x, 0, combine), 0)


def tree(c: Call, x: np.ndarray, combine: Operator) -> np.ndarray:
    """Reduce to rank 0 and broadcast, both along a binomial tree.

    Time 2 ceil(log2 p)(alpha + n beta), bytes 2 (p - 1) n.
    """
    return broadcast.tree(c, reduce.tree(c, x, 0, combine), 0)


def _ring_reduce(c: Call, y: np.ndarray, ends: list[int], combine: Operator) -> None:
    """Combine the rows of y in place, so that in the end rank r has block r of the result.

    In each step every rank hands a block to the next one, which adds its own. Block b starts at
    rank b + 1 and goes round to rank b: ((x[b+1] + x[b+2]) + ...) + x[b].
    """
    for step in range(c.size - 1):
        out, into = (c.rank - step - 1) % c.size, (c.rank - step - 2) % c.size
        got = c.exchange(y[ends[out] : ends[out + 1]], (c.rank + 1) % c.size, (c.rank - 1) % c.size)
        mine = y[ends[into] : ends[into + 1]]
        combine.into(mine, got, mine)


def _ring_gather(c: Call, y: np.ndarray, ends: list[int]) -> None:
    """Fill y from blocks: rank r has block r at the start, every rank all of them in the end."""
    for step in range(c.size - 1):
        out, into = (c.rank - step) % c.size, (c.rank - step - 1) % c.size
        y[ends[into] : ends[into + 1]] = c.exchange(
            y[ends[out] : ends[out + 1]], (c.rank + 1) % c.size, (c.rank - 1) % c.size
        )


def ring(c: Call, x: np.ndarray, combine: Operator) -> np.ndarray:
    """A reduce-scatter round the ring, then an all-gather round the ring.

    Time 2 (p - 1)(alpha + n beta / p), bytes 2 (p - 1) n, and each rank sends as much as any other.
    """
    y = x.flatten()
    ends = blocks(y.size, c.size)
    _ring_reduce(c, y, ends, combine)
    _ring_gather(c, y, ends)
    return y.reshape(x.shape)


def reduce_scatter(c: Call, x: np.ndarray, combine: Operator) -> np.ndarray:
    """Block r of the result on rank r, cut along the first axis. Time (p - 1)(alpha + n beta / p)."""
    if x.ndim == 0:
        raise ValueError("reduce_scatter: a single number has no axis to cut into blocks")
    y = x.copy()
    ends = blocks(len(y), c.size)
    _ring_reduce(c, y, ends, combine)
    return y[ends[c.rank] : ends[c.rank + 1]].copy()


def _core(c: Call) -> int:
    """The largest power of two that is at most `size`."""
    return 1 << (c.size.bit_length() - 1)


def _folded(
    c: Call, x: np.ndarray, combine: Operator, run: Callable[[np.ndarray, int], np.ndarray]
) -> np.ndarray:
    """`run` on the first 2^k ranks; each rank beyond gives its array to one of them and is told the result.

    Costs 2 (alpha + n beta) and 2 n bytes for each rank beyond.
    """
    core = _core(c)
    if c.rank >= core:
        c.send(x, c.rank - core)
        return c.recv(c.rank - core)
    y = combine(x, c.recv(c.rank + core)) if c.rank + core < c.size else x.copy()
    y = run(y, core)
    if c.rank + core < c.size:
        c.send(y, c.rank + core)
    return y


def recursive_doubling(c: Call, x: np.ndarray, combine: Operator) -> np.ndarray:
    """In step k exchange the whole sum with the rank whose number differs in bit k.

    Time log2 p (alpha + n beta), bytes p log2 p n, for p a power of two; more for others, see
    `_folded`. The order is the balanced tree over the ranks, ((x0 + x1) + (x2 + x3)) + ...
    """

    def run(y: np.ndarray, core: int) -> np.ndarray:
        bit = 1
        while bit < core:
            other = c.exchange(y, c.rank ^ bit, c.rank ^ bit)
            y = combine(other, y) if c.rank & bit else combine(y, other)
            bit *= 2
        return y

    return _folded(c, x, combine, run)


def halving_doubling(c: Call, x: np.ndarray, combine: Operator) -> np.ndarray:
    """Halve the vector with partners ever nearer, so that rank r has a block of the sum; then double back.

    Time 2 log2 p alpha + 2 (p - 1) / p n beta, bytes 2 (p - 1) n, for p a power of two (Rabenseifner 2004).
    """

    def run(y: np.ndarray, core: int) -> np.ndarray:
        y = y.flatten()
        ends = blocks(y.size, core)
        low, high, bit = 0, core, core // 2
        while bit:  # blocks low to high are still mine and my partners'
            middle = low + bit
            mine, theirs = (
                ((middle, high), (low, middle)) if c.rank & bit else ((low, middle), (middle, high))
            )
            got = c.exchange(y[ends[theirs[0]] : ends[theirs[1]]], c.rank ^ bit, c.rank ^ bit)
            part = y[ends[mine[0]] : ends[mine[1]]]
            combine.into(part, *((got, part) if c.rank & bit else (part, got)))
            (low, high), bit = mine, bit // 2
        bit = 1
        while bit < core:  # my blocks are those that agree with my number above this bit
            first = c.rank & -bit
            other = first ^ bit
            y[ends[other] : ends[other + bit]] = c.exchange(
                y[ends[first] : ends[first + bit]], c.rank ^ bit, c.rank ^ bit
            )
            bit *= 2
        return y.reshape(x.shape)

    return _folded(c, x, combine, run)


def choose(algorithm: str) -> Callable[..., Any]:
    """The algorithm of a name."""
    known = {
        "ring": ring, "naive": naive, "tree": tree, "recursive_doubling": recursive_doubling,
        "halving_doubling": halving_doubling,
    }  # fmt: skip
    return named("all_reduce", algorithm, known)
