"""The job shop: jobs visit machines, each in its own order; when is the last one done?

Shapes: jobs n, machines m, operations n m; a batch of candidates has a leading axis P.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmbook.backend.errors import ShapeError


@dataclass(frozen=True)
class Schedule:
    """Start of every operation (n, m), the machines' orders (m lists of jobs), and when all is done."""

    start: np.ndarray
    orders: list[list[int]]
    makespan: int


class JobShop:
    """`machines[j, k]` and `durations[j, k]`: where, and how long, the k-th operation of job j is.

    Each job visits each machine once; a machine does one thing at a time and finishes it. Source: Muth
    and Thompson 1963, ed., Industrial Scheduling.
    """

    def __init__(self, machines: Any, durations: Any) -> None:
        self.machines, self.durations = np.asarray(machines), np.asarray(durations)
        if self.machines.ndim != 2 or self.machines.shape != self.durations.shape:
            raise ShapeError(
                "JobShop: machines and durations must both be (jobs, machines), not "
                f"{self.machines.shape} and {self.durations.shape}"
            )
        self.jobs, self.count = self.machines.shape
        if not (np.sort(self.machines, axis=1) == np.arange(self.count)).all():
            raise ValueError(
                f"JobShop: each row of machines must be an order of 0 to {self.count - 1}"
            )
        if not (self.durations >= 0).all():
            raise ValueError("JobShop: durations must be 0 or more")

    @property
    def operations(self) -> int:
        """How many operations all jobs have together."""
        return self.jobs * self.count

    def ranks(self, orders: np.ndarray) -> np.ndarray:
        """Permutations of all operations (P, n m) read as rows of jobs: priorities (P, n, m).

        The number o stands for job o // m, and a job's k-th place in the row is its k-th operation's: so
        every permutation can be carried out. Source: Bierwirth 1995.
        """
        jobs = np.atleast_2d(orders) // self.count
        places = np.argsort(jobs, axis=1, kind="stable")  # by job, in the order of the row
        return places.reshape(-1, self.jobs, self.count)

    def makespans(self, orders: np.ndarray, delay: float = 1.0) -> np.ndarray:
        """When all is done, for permutations (P, n m), each decoded by `build`: shape (P,)."""
        ranks = self.ranks(orders)
        start = self.build(
            lambda rows, k, *_: ranks[rows, np.arange(self.jobs), k], len(ranks), delay
        )
        return (start + self.durations).max(axis=(1, 2))

    def build(
        self, priority: Callable[..., np.ndarray], count: int = 1, delay: float = 1.0
    ) -> np.ndarray:
        """Giffler and Thompson's builder of active schedules, for `count` candidates at once: (P, n, m).

        Each time: of the jobs' next operations, the one that could end first names a machine; of those that
        could start there before that end, the one of least priority(rows, next, ready, begin) goes. No
        operation of an active schedule can start earlier unless another starts later, and some active
        schedule is best. `delay` below 1 narrows the choice to begin <= t + delay (end - t), t the earliest
        start; 0 builds non-delay schedules. Sources: Giffler and Thompson 1960; Bierwirth and Mattfeld 1999.
        """
        n, m = self.jobs, self.count
        rows, every = np.arange(count), np.arange(n)
        machine = np.concatenate([self.machines, np.full((n, 1), m)], axis=1)  # m: done
        duration = np.concatenate([self.durations, np.zeros((n, 1), dtype=int)], axis=1)
        never = int(duration.sum()) * 2 + 1
        k = np.zeros((count, n), dtype=int)  # next operation of each job
        ready = np.zeros((count, n), dtype=int)  # when each job is free
        free = np.zeros((count, m + 1), dtype=int)  # when each machine is free
        start = np.zeros((count, n, m), dtype=int)
        for _ in range(n * m):
            on = machine[every, k]
            begin = np.where(on < m, np.maximum(ready, free[rows[:, None], on]), never)
            end = begin + duration[every, k]
            if delay > 0:
                first = end.argmin(axis=1)
            else:
                first = (begin * (never + 1) + end).argmin(axis=1)
            limit, earliest = end[rows, first], begin.min(axis=1)
            on_it = on == on[rows, first][:, None]
            if delay == 1:
                chosen = on_it & (begin < limit[:, None])
            else:
                chosen = on_it & (begin <= (earliest + delay * (limit - earliest))[:, None])
                chosen &= (begin < limit[:, None]) | (begin == earliest[:, None])
            chosen[rows, first] = True  # an operation of no duration never starts before its end
            cost = np.where(
                chosen, priority(rows[:, None], np.minimum(k, m - 1), ready, begin), np.inf
            )
            job = cost.argmin(axis=1)
            start[rows, job, k[rows, job]] = begin[rows, job]
            ready[rows, job] = free[rows, on[rows, job]] = end[rows, job]
            k[rows, job] += 1
        return start

    def dispatch(self, rule: str, delay: float = 0.0) -> Schedule:
        """The schedule of a dispatch rule: "SPT", "LPT", "MWKR", "LWKR", "FIFO" or "MOPNR"."""
        if rule not in RULES:
            raise ValueError(
                f"JobShop.dispatch: rule {rule!r} is unknown; there are {', '.join(RULES)}"
            )
        return self.schedule(self.build(RULES[rule](self), 1, delay)[0])

    def decode(self, order: np.ndarray, delay: float = 1.0) -> Schedule:
        """The schedule of one permutation (n m,)."""
        ranks = self.ranks(order)
        start = self.build(lambda rows, k, *_: ranks[rows, np.arange(self.jobs), k], 1, delay)
        return self.schedule(start[0])

    def schedule(self, start: np.ndarray) -> Schedule:
        """Starts (n, m) as a `Schedule`; raises `ValueError` where two operations are in each other's way."""
        end = start + self.durations
        if (start[:, 0] < 0).any() or (start[:, 1:] < end[:, :-1]).any():
            raise ValueError("JobShop.schedule: a job starts before its last operation ends")
        orders = []
        for machine in range(self.count):
            at = np.argwhere(self.machines == machine)
            s, e = start[tuple(at.T)], end[tuple(at.T)]
            by = np.lexsort((e, s))
            if (s[by][1:] < e[by][:-1]).any():
                raise ValueError(f"JobShop.schedule: machine {machine} does two things at once")
            orders.append(at[by, 0].tolist())
        return Schedule(start, orders, int(end.max()))


def lower_bound(shop: JobShop) -> int:
    """No schedule ends sooner: the longest job, or a machine's work with what must come before and after."""
    d = shop.durations
    head = d.cumsum(axis=1) - d
    tail = d[:, ::-1].cumsum(axis=1)[:, ::-1] - d
    bounds = [int(d.sum(axis=1).max())]
    for machine in range(shop.count):
        at = shop.machines == machine
        bounds.append(int(head[at].min() + d[at].sum() + tail[at].min()))
    return max(bounds)


def _left(shop: JobShop) -> np.ndarray:
    """Work that a job still has, its k-th operation included: (n, m)."""
    return shop.durations[:, ::-1].cumsum(axis=1)[:, ::-1]


def _by_operation(values: Callable[[JobShop], np.ndarray]) -> Callable[[JobShop], Callable]:
    def rule(shop: JobShop) -> Callable[..., np.ndarray]:
        table, every = values(shop), np.arange(shop.jobs)
        return lambda rows, k, ready, begin: table[every, k]

    return rule


RULES: dict[str, Callable[[JobShop], Callable]] = {
    "SPT": _by_operation(lambda shop: shop.durations),
    "LPT": _by_operation(lambda shop: -shop.durations),
    "MWKR": _by_operation(lambda shop: -_left(shop)),
    "LWKR": _by_operation(_left),
    "MOPNR": _by_operation(
        lambda shop: np.arange(shop.count) + np.zeros((shop.jobs, 1), dtype=int)
    ),
    "FIFO": lambda shop: lambda rows, k, ready, begin: ready,
}
"""Dispatch rules: who goes first. Shortest or longest operation, most or least work remaining, most
operations remaining, first in first out."""
