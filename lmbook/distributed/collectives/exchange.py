"""Everyone with everyone: all-to-all and the barrier."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmbook.distributed.collectives.call import Call


def all_to_all(c: Call, xs: Sequence[Any]) -> list[Any]:
    """In step k send to the rank k after me and receive from the rank k before me.

    Time (p - 1)(alpha + n beta), bytes p (p - 1) n, with n the bytes of one entry.
    """
    out: list[Any] = [None] * c.size
    out[c.rank] = c.keep(xs[c.rank])
    for k in range(1, c.size):
        after, before = (c.rank + k) % c.size, (c.rank - k) % c.size
        out[before] = c.exchange(xs[after], after, before)
    return out


def barrier(c: Call) -> None:
    """Hear, in ceil(log2 p) steps, from every rank: in step k from the one 2^k before me.

    Empty messages. Source: Hensgen, Finkel and Manber 1988 (dissemination).
    """
    nothing = np.empty(0, np.uint8)
    step = 1
    while step < c.size:
        c.exchange(nothing, (c.rank + step) % c.size, (c.rank - step) % c.size)
        step *= 2
