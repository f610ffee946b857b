"""Sums whose bits do not depend on the number of ranks: fixed logical shards, added in a fixed tree.

Float addition is not associative, so a sum over ranks changes with their number. Here a batch is cut into
S logical shards for good. Whoever computes a shard's gradient, the S gradients are added in one
balanced tree, ((g0 + g1) + (g2 + g3)) + ...: 1, 2, 4 or 8 ranks, or 3, give the same bits.

A node of the tree is (start, level): the shards start to start + 2^level - 1, as far as there are any.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from lmbook.autograd import Tensor
from lmbook.distributed import Communicator, blocks
from lmbook.parallel.buckets import flatten, unflatten

Node = tuple[int, int]


class Forest:
    """The sums of a run of shards, in as few nodes of the tree as can be: about log2 S vectors."""

    def __init__(self) -> None:
        self.nodes: list[tuple[Node, np.ndarray]] = []

    def add(self, shard: int, value: np.ndarray) -> None:
        """Take the next shard's vector; two sums become one when they are halves of a node."""
        start, level = shard, 0
        while self.nodes:
            (before, height), left = self.nodes[-1]
            if height != level or before % 2 ** (level + 1) or before + 2**level != start:
                break
            self.nodes.pop()
            start, level, value = before, level + 1, left + value
        self.nodes.append(((start, level), value))


def cover(start: int, stop: int) -> list[Node]:
    """The nodes in which a forest keeps the shards start to stop - 1."""
    forest = Forest()
    for shard in range(start, stop):
        forest.add(shard, np.empty(0))
    return [node for node, _ in forest.nodes]


def total(nodes: dict[Node, np.ndarray], shards: int) -> np.ndarray:
    """The whole sum from nodes that cover all shards."""

    def at(start: int, level: int) -> np.ndarray:
        if (start, level) in nodes:
            return nodes[start, level]
        if level == 0:
            raise ValueError(f"total: nobody has shard {start} of {shards}")
        half = 2 ** (level - 1)
        left = at(start, level - 1)
        return left if start + half >= shards else left + at(start + half, level - 1)

    return at(0, max(shards - 1, 0).bit_length())


def reduce_scatter(
    comm: Communicator, forest: Forest, shards: int, ends: Sequence[int]
) -> np.ndarray:
    """Entries ends[r] to ends[r + 1] of the sum over all shards, on rank r.

    Rank r must have added the shards that `blocks` gives it. Every rank sends each other one its part of
    its nodes. With shards divided among a power of two of
    ranks each has one node, and bytes are those of a ring, (p - 1) n.
    """
    heard = comm.all_to_all(
        [[x[ends[r] : ends[r + 1]] for _, x in forest.nodes] for r in range(comm.size)]
    )
    owned = blocks(shards, comm.size)
    nodes = {
        node: x
        for r, parts in enumerate(heard)
        for node, x in zip(cover(owned[r], owned[r + 1]), parts, strict=True)
    }
    return total(nodes, shards)


class LogicalShards:
    """The gradient of a batch in `shards` fixed parts, with bits that no number of ranks changes.

        order = LogicalShards(model.parameters(), comm, shards=8)
        for i in order.mine:
            loss(model, part(i)).backward()
            order.add(i)
        order.all_reduce()                       # .grad is the mean over the shards

    `mine` are the shards of this rank: neighbours, as equal in number as can be.
    """

    def __init__(self, parameters: Iterator[Tensor], comm: Communicator, shards: int = 8) -> None:
        if comm.size > shards:
            raise ValueError(
                f"LogicalShards: {comm.size} ranks for {shards} shards; take at least as many shards"
            )
        self.parameters, self.comm, self.shards = list(parameters), comm, shards
        ends = blocks(shards, comm.size)
        self.mine = range(ends[comm.rank], ends[comm.rank + 1])
        self.forest = Forest()

    def add(self, shard: int) -> None:
        """Take the gradients that one shard left in `.grad`."""
        wanted = self.mine.start if not self.forest.nodes else _after(self.forest)
        if shard != wanted:
            raise ValueError(
                f"LogicalShards: shard {shard} given, {wanted} comes next on this rank"
            )
        for p in self.parameters:
            if p.grad is None:
                raise ValueError(
                    f"LogicalShards: a parameter of shape {p.shape} has no gradient in shard {shard}"
                )
        self.forest.add(shard, flatten(p.grad.data for p in self.parameters))  # type: ignore[union-attr]
        for p in self.parameters:
            p.grad = None

    def reduce_scatter(self, ends: Sequence[int]) -> np.ndarray:
        """My block of the mean gradient, all parameters in one vector."""
        part = reduce_scatter(self.comm, self.forest, self.shards, ends)
        self.forest = Forest()
        return part / part.dtype.type(self.shards)

    def all_reduce(self) -> None:
        """Put the mean over all shards into `.grad`, on every rank."""
        ends = blocks(sum(p.numel() for p in self.parameters), self.comm.size)
        flat = np.concatenate(self.comm.all_gather(self.reduce_scatter(ends)))
        for p, g in zip(self.parameters, unflatten(flat, self.parameters), strict=True):
            p.grad = Tensor(g.copy())


def _after(forest: Forest) -> int:
    (start, level), _ = forest.nodes[-1]
    return start + 2**level
