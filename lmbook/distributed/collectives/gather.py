"""Values of all ranks in one list, and the way back."""

from collections.abc import Callable, Sequence
from typing import Any

from lmbook.distributed.collectives.call import Call
from lmbook.distributed.collectives.partition import named


def gather(c: Call, x: Any, root: int) -> list[Any] | None:
    """Everyone sends to the root. Time (p - 1)(alpha + n beta)."""
    if c.rank != root:
        c.send(x, root)
        return None
    return [c.keep(x) if r == root else c.recv(r) for r in range(c.size)]


def scatter(c: Call, xs: Sequence[Any] | None, root: int) -> Any:
    """The root sends each rank its own. Time (p - 1)(alpha + n beta), n the bytes of one entry."""
    if c.rank != root:
        return c.recv(root)
    assert xs is not None
    for r in range(c.size):
        if r != root:
            c.send(xs[r], r)
    return c.keep(xs[root])


def ring(c: Call, x: Any) -> list[Any]:
    """Each rank hands on what it got last. Time (p - 1)(alpha + n beta), bytes p (p - 1) n."""
    out: list[Any] = [None] * c.size
    out[c.rank] = c.keep(x)
    for step in range(c.size - 1):
        mine, theirs = (c.rank - step) % c.size, (c.rank - step - 1) % c.size
        out[theirs] = c.exchange(out[mine], (c.rank + 1) % c.size, (c.rank - 1) % c.size)
    return out


def bruck(c: Call, x: Any) -> list[Any]:
    """Hand on all you have to a rank twice as far in each step: ceil(log2 p) steps for any p.

    Time ceil(log2 p) alpha + (p - 1) n beta, with n the bytes of one entry; entries of a step
    travel as messages of their own only in count: one alpha pays for all. Source: Bruck et al. 1997.
    """
    have = [c.keep(x)]  # of ranks c.rank, c.rank + 1, ...
    step = 1
    while step < c.size:
        count = min(step, c.size - step)
        have += c.exchange(have[:count], (c.rank - step) % c.size, (c.rank + step) % c.size)
        step *= 2
    return [have[(r - c.rank) % c.size] for r in range(c.size)]


def choose(algorithm: str) -> Callable[[Call, Any], list[Any]]:
    """The algorithm of a name."""
    return named("all_gather", algorithm, {"ring": ring, "bruck": bruck})
