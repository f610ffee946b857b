"""Ant colony optimisation for tours: ants choose edges by scent and nearness, and mark what was short."""

from typing import Any

import numpy as np

from lmbook.backend.errors import ShapeError
from lmbook.optim.heuristic.base import Heuristic, Seed, within
from lmbook.optim.heuristic.space import Permutation


class AntColony(Heuristic):
    """From city i to a free city j with p_ij in proportion to tau_ij^alpha (1 / d_ij)^beta; then

        tau <- (1 - rho) tau + sum over the ants that mark of 1 / length, on their edges.

    `variant` "system" lets every ant mark; "max-min" only the best of the generation and, every fifth
    time, the best ever, and keeps tau between bounds so that no edge is ever lost. `distances` is (n, n); the
    method minimises whatever `tell` is told, but nearness comes from `distances`. Sources: Dorigo,
    Maniezzo and Colorni 1996; Stützle and Hoos 2000.
    """

    def __init__(
        self,
        distances: Any,
        popsize: int = 25,
        *,
        alpha: float = 1.0,
        beta: float = 3.0,
        rho: float = 0.1,
        variant: str = "max-min",
        seed: Seed = None,
    ) -> None:
        d = np.asarray(distances, dtype=float)
        if d.ndim != 2 or d.shape[0] != d.shape[1] or len(d) < 3:
            raise ShapeError(
                f"AntColony: distances must be a square of at least 3 cities, not {d.shape}"
            )
        if not (np.isfinite(d).all() and (d >= 0).all()):
            raise ValueError("AntColony: distances must be finite and 0 or more")
        super().__init__(Permutation(len(d)), popsize, seed)
        within("AntColony", 0, np.inf, alpha=alpha, beta=beta)
        within("AntColony", 0, 1, rho=rho)
        if variant not in ("system", "max-min"):
            raise ValueError(f"AntColony: variant must be 'system' or 'max-min', not {variant!r}")
        positive = d[d > 0]
        self.nearness = 1 / np.maximum(d, positive.min() * 1e-3 if len(positive) else 1.0)
        self.alpha, self.beta, self.rho, self.variant = alpha, beta, rho, variant
        self.tau = np.ones_like(d)
        self.marked = False

    def _ask(self) -> np.ndarray:
        n, rows = self.space.size, np.arange(self.popsize)
        appeal = self.tau**self.alpha * self.nearness**self.beta
        tours = np.empty((self.popsize, n), dtype=int)
        tours[:, 0] = self.rng.integers(0, n, self.popsize)
        free = np.ones((self.popsize, n), dtype=bool)
        for step in range(1, n):
            here = tours[:, step - 1]
            free[rows, here] = False
            share = np.cumsum(appeal[here] * free, axis=1)
            drawn = self.rng.random(self.popsize) * share[:, -1]
            chosen = np.minimum((share <= drawn[:, None]).sum(axis=1), n - 1)
            lost = ~free[rows, chosen]  # a draw that rounding put on a visited city
            chosen[lost] = free[lost].argmax(axis=1)
            tours[:, step] = chosen
        return tours

    def _tell(self, x: np.ndarray, values: np.ndarray) -> None:
        if not (values > 0).all():
            raise ValueError("AntColony.tell: lengths must be above 0, for ants mark by 1 / length")
        if self.variant == "system":
            if not self.marked:  # as much as all ants lay on one edge
                self.tau[:] = self.popsize / values.mean()
            self.tau *= 1 - self.rho
            for tour, value in zip(x, values):
                self._mark(tour, 1 / value)
        else:
            top = 1 / (max(self.rho, 1e-9) * self.best_value)
            if not self.marked:
                self.tau[:] = top
            self.tau *= 1 - self.rho
            i = int(np.argmin(values))
            tour, value = (
                (x[i], values[i]) if self.generation % 5 else (self.best_x, self.best_value)
            )
            self._mark(tour, 1 / value)
            np.clip(self.tau, top / (2 * self.space.size), top, out=self.tau)
        self.marked = True

    def _mark(self, tour: Any, amount: float) -> None:
        after = np.roll(tour, -1)
        self.tau[tour, after] += amount
        self.tau[after, tour] += amount
