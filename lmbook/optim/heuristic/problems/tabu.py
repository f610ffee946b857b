"""Tabu search on the critical path: the local search that job shops yield to.

An operation is a number o = job * machines + place. Its head is the longest way to it, its tail the longest
way from its end to the schedule's; head + duration + tail is the makespan on the critical path.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lmbook.backend.random import default_generator
from lmbook.optim.heuristic.base import Seed
from lmbook.optim.heuristic.problems.jobshop import JobShop, Schedule, lower_bound


@dataclass
class Move:
    """Put the operations of `sequence` on places `place`, `place` + 1, ... of `machine`."""

    machine: int
    place: int
    sequence: list[int]
    moved: int
    backward: bool
    estimate: int


class Graph:
    """The machines' orders and, after `measure`, heads, tails and the makespan."""

    def __init__(self, shop: JobShop, orders: list[list[int]]) -> None:
        self.m, self.total = shop.count, shop.operations
        self.duration: list[int] = shop.durations.ravel().tolist()
        self.machine: list[int] = shop.machines.ravel().tolist()
        at = np.argsort(shop.machines, axis=1)  # at[j, machine]: j's operation there
        self.orders = [[int(j * self.m + at[j, k]) for j in orders[k]] for k in range(self.m)]

    def measure(self) -> None:
        """Heads along a topological order, tails against it: O(operations)."""
        m, total, duration = self.m, self.total, self.duration
        before, after = [-1] * total, [-1] * total
        for order in self.orders:
            for a, b in pairwise(order):
                before[b], after[a] = a, b
        self.before, self.after = before, after
        waits = [(o % m > 0) + (before[o] >= 0) for o in range(total)]
        queue = [o for o in range(total) if waits[o] == 0]
        head, tail = [0] * total, [0] * total
        for o in queue:  # grows while it is read
            end = head[o] + duration[o]
            for s in (o + 1 if (o + 1) % m else -1, after[o]):
                if s >= 0:
                    if head[s] < end:
                        head[s] = end
                    waits[s] -= 1
                    if waits[s] == 0:
                        queue.append(s)
        if len(queue) < total:
            raise RuntimeError("tabu_search: the machines' orders have a cycle")
        for o in reversed(queue):
            rest = tail[o] + duration[o]
            if o % m and tail[o - 1] < rest:
                tail[o - 1] = rest
            b = before[o]
            if b >= 0 and tail[b] < rest:
                tail[b] = rest
        self.head, self.tail = head, tail
        self.makespan = max(head[o] + duration[o] for o in range(total))

    def critical_path(self, rng: np.random.Generator) -> list[int]:
        """One longest path; at a fork a coin decides."""
        head, duration, m = self.head, self.duration, self.m
        ends = [o for o in range(self.total) if head[o] + duration[o] == self.makespan]
        o = ends[int(rng.integers(len(ends)))]
        path = [o]
        while head[o] > 0:
            ways = [
                p
                for p in (self.before[o], o - 1 if o % m else -1)
                if p >= 0 and head[p] + duration[p] == head[o]
            ]
            o = ways[0] if len(ways) == 1 else ways[int(rng.integers(2))]
            path.append(o)
        return path[::-1]

    def moves(self, path: list[int]) -> list[Move]:
        """Inside each block of the path (a run on one machine): any operation to the block's front or end.

        Only such moves can shorten the schedule, and only those are taken that cannot close a cycle.
        Source: Balas and Vazacopoulos 1998.
        """
        found = []
        first = 0
        for i in range(1, len(path) + 1):
            if i == len(path) or self.machine[path[i]] != self.machine[path[first]]:
                block, first = path[first:i], i
                if len(block) > 1:
                    found += self._moves_in(block)
        return found

    def _moves_in(self, block: list[int]) -> list[Move]:
        head, tail, duration, m = self.head, self.tail, self.duration, self.m
        machine, last = self.machine[block[0]], len(block) - 1
        place = self.orders[machine].index(block[0])
        found = []
        for i, o in enumerate(block):
            if i < last:  # to the end: no way may lead from o's next operation to the last one
                s = o + 1 if (o + 1) % m else -1
                v = block[-1]
                if s < 0 or tail[v] + duration[v] >= tail[s] + duration[s]:
                    sequence = [*block[i + 1 :], o]
                    found.append(
                        Move(machine, place + i, sequence, o, False, self._estimate(sequence))
                    )
            if i > 0 and last != 1:  # to the front; in a block of two that is the same swap
                p = o - 1 if o % m else -1
                u = block[0]
                if p < 0 or head[u] + duration[u] >= head[p] + duration[p]:
                    sequence = [o, *block[:i]]
                    found.append(Move(machine, place, sequence, o, True, self._estimate(sequence)))
        return found

    def _estimate(self, sequence: list[int]) -> int:
        """Longest way through the sequence, had its operations this order. Taillard 1994."""
        head, tail, duration, m = self.head, self.tail, self.duration, self.m
        inside = set(sequence)
        b, a = -1, -1
        for o in sequence:  # what stands on the machine before and after the sequence
            if self.before[o] not in inside:
                b = self.before[o]
            if self.after[o] not in inside:
                a = self.after[o]
        ready = head[b] + duration[b] if b >= 0 else 0
        heads = []
        for o in sequence:
            if o % m:
                ready = max(ready, head[o - 1] + duration[o - 1])
            heads.append(ready)
            ready += duration[o]
        rest = tail[a] + duration[a] if a >= 0 else 0
        longest = 0
        for o, h in zip(reversed(sequence), reversed(heads)):
            if (o + 1) % m:
                rest = max(rest, tail[o + 1] + duration[o + 1])
            rest += duration[o]
            longest = max(longest, h + rest)
        return longest

    def apply(self, move: Move) -> None:
        """Change the order on one machine, and measure the paths anew."""
        self.orders[move.machine][move.place : move.place + len(move.sequence)] = move.sequence
        self.measure()


def tabu_search(
    shop: JobShop,
    start: Schedule | None = None,
    *,
    iterations: int = 2000,
    target: int | None = None,
    patience: int = 800,
    seed: Seed = None,
) -> tuple[Schedule, list[int]]:
    """The best schedule found, and the best makespan after each iteration.

    Each iteration takes the move of the critical path with the least estimate, also if it makes things
    worse; orders of two operations that were just undone are forbidden for a while, unless they promise a new
    best. After `patience` iterations without a new best it goes back to the best and makes a few random
    moves. It stops at `target` or at the lower bound. `start` is by default the schedule of rule MWKR.
    Sources: Nowicki and Smutnicki 1996; Zhang et al. 2008.
    """
    rng = (
        seed
        if isinstance(seed, np.random.Generator)
        else (default_generator() if seed is None else np.random.default_rng(seed))
    )
    start = shop.dispatch("MWKR") if start is None else start
    goal = lower_bound(shop) if target is None else max(target, lower_bound(shop))
    graph = Graph(shop, start.orders)
    graph.measure()
    best, best_orders, best_head = graph.makespan, [list(o) for o in graph.orders], graph.head
    forbidden: dict[tuple[int, int], int] = {}
    history, since = [], 0
    low, high = 10 + shop.jobs // shop.count, 14 + 2 * shop.jobs // shop.count
    for iteration in range(iterations):
        if best <= goal:
            break
        options = graph.moves(graph.critical_path(rng))
        if not options:  # one job or one machine is the whole path: nothing shortens it
            break
        allowed = [
            move for move in options
            if move.estimate < best or not _is_forbidden(move, forbidden, iteration)
        ]  # fmt: skip
        if allowed and since < patience:
            least = min(move.estimate for move in allowed)
            tied = [move for move in allowed if move.estimate == least]
            move = tied[int(rng.integers(len(tied)))]
        else:
            move = options[int(rng.integers(len(options)))]
        tenure = iteration + int(rng.integers(low, high + 1))
        for other in move.sequence:
            if other != move.moved:  # this pair's old order is forbidden
                pair = (other, move.moved) if move.backward else (move.moved, other)
                forbidden[pair] = tenure
        graph.apply(move)
        since += 1
        if graph.makespan < best:
            best, best_orders, best_head = (
                graph.makespan,
                [list(o) for o in graph.orders],
                graph.head,
            )
            since = 0
        elif since == patience + 10:  # ten random moves from the best have been made
            since = 0
        elif since == patience:
            graph.orders = [list(o) for o in best_orders]
            graph.measure()
            forbidden.clear()
        history.append(best)
    return shop.schedule(np.array(best_head).reshape(shop.jobs, shop.count)), history


def _is_forbidden(move: Move, forbidden: dict[tuple[int, int], int], now: int) -> bool:
    """Whether the move would set up an order of two operations that is forbidden now."""
    for other in move.sequence:
        if other != move.moved:
            pair = (move.moved, other) if move.backward else (other, move.moved)
            if forbidden.get(pair, -1) >= now:
                return True
    return False
