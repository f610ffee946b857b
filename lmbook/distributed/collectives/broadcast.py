"""One rank's value on every rank."""

from collections.abc import Callable
from typing import Any

from lmbook.distributed.collectives.call import Call
from lmbook.distributed.collectives.partition import named


def naive(c: Call, x: Any, root: int) -> Any:
    """The root sends to each: size - 1 messages, one after the other.

    Time (p - 1)(alpha + n beta).
    """
    if c.rank != root:
        return c.recv(root)
    for r in range(c.size):
        if r != root:
            c.send(x, r)
    return c.keep(x)


def tree(c: Call, x: Any, root: int) -> Any:
    """Whoever has it passes it on: the ranks that have it double in each step.

    Time ceil(log2 p)(alpha + n beta). Ranks count from the root.
    """
    me = (c.rank - root) % c.size
    step = 1
    while step < c.size:
        if me < step and me + step < c.size:
            c.send(x, (c.rank + step) % c.size)
        elif step <= me < 2 * step:
            x = c.recv((c.rank - step) % c.size)
        step *= 2
    return x if me else c.keep(x)


def choose(algorithm: str) -> Callable[[Call, Any, int], Any]:
    """The algorithm of a name."""
    return named("broadcast", algorithm, {"tree": tree, "naive": naive})
