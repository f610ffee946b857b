"""Which lanes are at work: a mask, and how many warps and lanes it holds."""

from __future__ import annotations

from functools import cached_property

import numpy as np

Array = np.ndarray
WARP = 32


class Mask:
    """A set of lanes of a batch of blocks.

    `lanes` is an array of booleans that broadcasts to (blocks, threads): (1, threads) where every
    block does the same, (blocks, 1) where every thread of a block does.
    """

    def __init__(self, lanes: Array, shape: tuple[int, int]) -> None:
        self.lanes, self.shape = lanes, shape

    @cached_property
    def count(self) -> int:
        """Number of lanes at work."""
        return int(np.count_nonzero(self.lanes)) * self._copies

    @cached_property
    def warps(self) -> int:
        """Number of warps with at least one lane at work."""
        blocks, threads = self.shape
        if self.lanes.shape[1] == 1:
            return self.count // WARP
        rows = self.lanes.reshape(len(self.lanes), threads // WARP, WARP)
        return int(np.count_nonzero(rows.any(axis=2))) * (blocks // len(self.lanes))

    @property
    def _copies(self) -> int:
        return self.shape[0] * self.shape[1] // self.lanes.size

    @cached_property
    def full(self) -> bool:
        """Whether all lanes are at work, so that nothing need be merged."""
        return self.count == self.shape[0] * self.shape[1]

    def spread(self) -> Array:
        """The mask as an array of shape (blocks, threads)."""
        return np.broadcast_to(self.lanes, self.shape)

    @cached_property
    def first(self) -> Array:
        """For each warp of (1 or blocks, warps), its first lane at work (0 if there is none)."""
        rows = np.broadcast_to(self.lanes, (len(self.lanes), self.shape[1]))
        return rows.reshape(len(rows), -1, WARP).argmax(axis=2)

    def both(self, test: Array) -> Mask:
        """The lanes for which `test` holds as well."""
        lanes = test if self.full else self.lanes & test
        return Mask(lanes, self.shape)

    def without(self, test: Array) -> Mask:
        """The lanes for which `test` does not hold."""
        return self.both(~test)


NOBODY = Mask(np.zeros((1, 1), bool), (1, 1))
"""No lane at all. Blocks stop at it; it is compared by identity."""


def union(a: Mask, b: Mask) -> Mask:
    """The lanes of either."""
    if a is NOBODY:
        return b
    if b is NOBODY or a is b:
        return a
    return Mask(a.lanes | b.lanes, a.shape)
