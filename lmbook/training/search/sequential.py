"""Searches that learn nothing: a grid, and points at random. The measure for those that do."""

from collections.abc import Mapping

import numpy as np

from lmbook.optim.heuristic.base import Heuristic, Seed
from lmbook.training.search.space import SearchSpace


class Exhausted(RuntimeError):
    """A grid has no more points."""


class RandomSearch(Heuristic):
    """Points drawn uniformly on the scale of each dimension. Source: Bergstra and Bengio (2012)."""

    def __init__(self, space: SearchSpace, popsize: int = 1, *, seed: Seed = None) -> None:
        super().__init__(space, popsize, seed, least=1)

    def _ask(self) -> np.ndarray:
        return self.space.sample(self.rng, self.popsize)

    def _tell(self, x: np.ndarray, values: np.ndarray) -> None:
        pass


class GridSearch(Heuristic):
    """Every combination of `counts` values a dimension, in order; `ask` raises `Exhausted` at the end.

    With `shuffle`, in random order, so that a search that is cut short has looked everywhere.
    """

    def __init__(
        self,
        space: SearchSpace,
        counts: int | Mapping[str, int] = 5,
        *,
        shuffle: bool = False,
        seed: Seed = None,
    ) -> None:
        super().__init__(space, 1, seed, least=1)
        self.points = np.array([space.encode(params) for params in space.grid(counts)])
        if shuffle:
            self.rng.shuffle(self.points)

    def __len__(self) -> int:
        return len(self.points)

    def _ask(self) -> np.ndarray:
        if self.evaluations >= len(self.points):
            raise Exhausted(f"GridSearch: all {len(self.points)} points of the grid were tried")
        return self.points[self.evaluations : self.evaluations + 1]

    def _tell(self, x: np.ndarray, values: np.ndarray) -> None:
        pass


def latin_hypercube(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """`count` points of [0, 1]^size, with one in each of `count` slices of every coordinate."""
    slices = rng.permuted(np.tile(np.arange(count), (size, 1)), axis=1).T
    return (slices + rng.random((count, size))) / count
