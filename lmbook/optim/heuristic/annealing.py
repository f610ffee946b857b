"""Simulated annealing: accept every better point, and a worse one with Metropolis' probability."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lmbook.optim.heuristic.base import Heuristic, Seed
from lmbook.optim.heuristic.mutation import Mutation, standard_move
from lmbook.optim.heuristic.space import Real, Space

Schedule = Callable[[int], float]


def metropolis(change: Any, temperature: float) -> np.ndarray:
    """Probability of accepting a change of the value: min(1, exp(-change / T)). Metropolis et al. 1953."""
    change = np.asarray(change, dtype=float)
    if temperature == 0:
        return (change <= 0).astype(float)
    return np.exp(-np.maximum(change, 0) / temperature)


class SimulatedAnnealing(Heuristic):
    """From x propose y = move(x); go there with probability min(1, exp(-(f(y) - f(x)) / T)).

    `schedule` gives T at step 0, 1, ...; at T = 0 this is local search. `chains` independent walks go
    side by side. `move` takes rows and a generator and must be symmetric, for then the walk at constant
    T comes to rest in Boltzmann's distribution, p(x) in proportion to exp(-f(x) / T). `start` is a
    point, or one a chain; by default they are drawn. Source: Kirkpatrick, Gelatt and Vecchi 1983.
    """

    def __init__(
        self,
        space: Space,
        schedule: Schedule,
        *,
        chains: int = 1,
        move: Mutation | None = None,
        start: Any = None,
        seed: Seed = None,
    ) -> None:
        super().__init__(space, chains, seed, least=1)
        self.schedule = schedule
        self.move = standard_move(space) if move is None else move
        self.start = None
        if start is not None:
            self.start = np.broadcast_to(
                space.check(start, "SimulatedAnnealing: start"), (chains, space.size)
            )
        self.x = np.empty((0, space.size))
        self.values = np.empty(0)
        self.temperature = np.inf
        self.accepted = 0

    def _ask(self) -> np.ndarray:
        if len(self.x) == 0:
            return self.space.sample(self.rng, self.popsize) if self.start is None else self.start
        self.temperature = self.schedule(self.generation - 1)
        if not self.temperature >= 0:
            raise ValueError(
                f"SimulatedAnnealing: the schedule gave T = {self.temperature} "
                f"at step {self.generation - 1}; a temperature is 0 or more"
            )
        y = self.move(self.x, self.rng)
        if isinstance(self.space, Real):  # a step out of the box is a step not taken
            y = np.where(self.space.contains(y)[:, None], y, self.x)
        return y

    def _tell(self, x: np.ndarray, values: np.ndarray) -> None:
        if len(self.x) == 0:
            self.x, self.values = x, values
            return
        accept = self.rng.random(len(x)) < metropolis(values - self.values, self.temperature)
        self.accepted += int(accept.sum())
        self.x = np.where(accept[:, None], x, self.x)
        self.values = np.where(accept, values, self.values)


def constant(temperature: float) -> Schedule:
    """T always."""
    return lambda step: temperature


def geometric(start: float, end: float, steps: int) -> Schedule:
    """T falls by the same factor each step, from `start` to `end`; then it stays."""
    if not (start > 0 and end > 0 and steps > 1):
        raise ValueError(
            f"geometric: temperatures must be above 0 and steps above 1: {start}, {end}, {steps}"
        )
    return lambda step: start * (end / start) ** min(step / (steps - 1), 1.0)


def linear(start: float, end: float, steps: int) -> Schedule:
    """T falls by the same amount each step, from `start` to `end`; then it stays."""
    if not (start >= 0 and end >= 0 and steps > 1):
        raise ValueError(
            f"linear: temperatures must be 0 or more and steps above 1: {start}, {end}, {steps}"
        )
    return lambda step: start + (end - start) * min(step / (steps - 1), 1.0)


def logarithmic(depth: float) -> Schedule:
    """T = depth / ln(step + 2): slow enough to end at the optimum for certain, and too slow to use.

    `depth` is that of the deepest local minimum. Source: Hajek 1988.
    """
    return lambda step: depth / np.log(step + 2)
