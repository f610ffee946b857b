"""Differential evolution: steps are differences between members of the population."""

import numpy as np

from lmbook.optim.heuristic.base import Heuristic, Seed, needs, within
from lmbook.optim.heuristic.space import Real

STRATEGIES = ("rand/1/bin", "best/1/bin", "current-to-best/1/bin")


class DifferentialEvolution(Heuristic):
    """v = base + F (b - c);  u_j = v_j with probability CR, else x_j;  u replaces x if no worse.

    base is a random member a, the best member, or x + F (best - x), by `strategy`; a, b, c differ from
    each other and from x. One random coordinate always comes from v. A coordinate beyond a bound falls
    half-way between x and the bound. Source: Storn and Price 1997.
    """

    def __init__(
        self,
        space: Real,
        popsize: int | None = None,
        *,
        strategy: str = "rand/1/bin",
        F: float = 0.7,
        CR: float = 0.9,
        seed: Seed = None,
    ) -> None:
        if popsize is None:
            popsize = max(20, min(100, 10 * space.size))
        super().__init__(space, popsize, seed, least=4)
        needs(self, space, "real")
        if strategy not in STRATEGIES:
            raise ValueError(
                f"DifferentialEvolution: strategy {strategy!r} is unknown; there are {STRATEGIES}"
            )
        within("DifferentialEvolution", 0, 2, F=F)
        within("DifferentialEvolution", 0, 1, CR=CR)
        self.box, self.strategy, self.F, self.CR = space, strategy, F, CR
        self.x = np.empty((0, space.size))
        self.values = np.empty(0)

    def _ask(self) -> np.ndarray:
        if len(self.x) == 0:
            return self.box.sample(self.rng, self.popsize)
        a, b, c = self.x[self._three_others()]
        best = self.x[np.argmin(self.values)]
        if self.strategy == "rand/1/bin":
            base = a
        elif self.strategy == "best/1/bin":
            base = np.broadcast_to(best, a.shape)
        else:
            base = self.x + self.F * (best - self.x)
        mutant = base + self.F * (b - c)
        taken = self.rng.random(mutant.shape) < self.CR
        rows = np.arange(self.popsize)
        taken[rows, self.rng.integers(0, self.space.size, self.popsize)] = True
        trial = np.where(taken, mutant, self.x)
        trial = np.where(trial < self.box.low, (self.x + self.box.low) / 2, trial)
        return np.where(trial > self.box.high, (self.x + self.box.high) / 2, trial)

    def _three_others(self) -> np.ndarray:
        """Indices (3, popsize), different in each column and from the column's own."""
        order = self.rng.random((self.popsize, self.popsize))
        np.fill_diagonal(order, np.inf)
        return np.argpartition(order, 2, axis=1)[:, :3].T

    def _tell(self, x: np.ndarray, values: np.ndarray) -> None:
        if len(self.x) == 0:
            self.x, self.values = x, values
            return
        better = values <= self.values
        self.x = np.where(better[:, None], x, self.x)
        self.values = np.where(better, values, self.values)
