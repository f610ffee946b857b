"""The arrays of all ranks combined on one."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lmbook.distributed.collectives.call import Call
from lmbook.distributed.collectives.operators import Operator
from lmbook.distributed.collectives.partition import named


def naive(c: Call, x: np.ndarray, root: int, combine: Operator) -> np.ndarray | None:
    """Everyone sends to the root, which combines in the order of the ranks: ((x0 + x1) + x2) + ...

    Time (p - 1)(alpha + n beta), since the root receives one message at a time.
    """
    if c.rank != root:
        c.send(x, root)
        return None
    total = None
    for r in range(c.size):
        part = x if r == root else c.recv(r)
        total = part.copy() if total is None else combine(total, part)
    return total


def tree(c: Call, x: np.ndarray, root: int, combine: Operator) -> np.ndarray | None:
    """Neighbours first, then neighbouring pairs: the ranks that still hold a sum halve in each step.

    Time ceil(log2 p)(alpha + n beta). The order is ((x0 + x1) + (x2 + x3)) + ..., counted from the root:
    for p a power of two and root 0 that of recursive doubling.
    """
    me = (c.rank - root) % c.size
    total, step = x.copy(), 1
    while step < c.size:
        if me & step:
            c.send(total, (c.rank - step) % c.size)
            return None
        if me + step < c.size:
            total = combine(total, c.recv((c.rank + step) % c.size))
        step *= 2
    return total


def choose(algorithm: str) -> Callable[..., Any]:
    """The algorithm of a name."""
    return named("reduce", algorithm, {"tree": tree, "naive": naive})
