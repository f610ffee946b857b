"""Bayesian optimisation: a Gaussian process says where to look next."""

import math

import numpy as np

from lmbook.optim.heuristic.base import BARRIER, Heuristic, Seed
from lmbook.training.search.acquisition import log_expected_improvement
from lmbook.training.search.gaussian_process import GaussianProcess
from lmbook.training.search.kernels import Kernel, Matern
from lmbook.training.search.sequential import latin_hypercube
from lmbook.training.search.space import SearchSpace


class BayesianSearch(Heuristic):
    """Fit a Gaussian process to all values so far; ask where the expected improvement is largest.

    The first `initial` points are a Latin hypercube, or given as an array (count, size). Points lie on
    the unit cube of the space and are snapped before the process sees them, so that whole numbers
    and names are what they decode to (Garrido-Merchan and Hernandez-Lobato 2020). A failed point
    (+inf) counts as the worst value seen. With `popsize` above 1, each further point of a batch is
    chosen as if those before it had come out as the process expects (Ginsbourger et al. 2010).
    Source: Jones et al. (1998); the prior of the length scales, which grow with the dimension, is
    that of Hvarfner et al. (2024), a little narrower.
    """

    def __init__(
        self,
        space: SearchSpace,
        popsize: int = 1,
        *,
        initial: int | np.ndarray | None = None,
        kernel: Kernel | None = None,
        candidates: int = 1000,
        seed: Seed = None,
    ) -> None:
        super().__init__(space, popsize, seed, least=1)
        initial = max(4, 2 * space.size) if initial is None else initial
        if np.ndim(initial) == 0 and initial < 2:
            raise ValueError(f"BayesianSearch: initial must be at least 2, not {initial}")
        if candidates < 10:
            raise ValueError(f"BayesianSearch: candidates must be at least 10, not {candidates}")
        self.cube, self.candidates = space, candidates
        self.waiting = (
            latin_hypercube(self.rng, int(initial), space.size)
            if np.ndim(initial) == 0
            else space.check(initial, "BayesianSearch: initial")
        )
        self.x = np.empty((0, space.size))
        self.values = np.empty(0)
        d = space.size
        self.process = GaussianProcess(
            kernel or Matern(np.full(d, 0.5 * math.sqrt(d)), 1.0),
            1e-6,
            prior=(
                np.array([0.0, *[math.log(0.5) + math.log(d) / 2] * d, math.log(1e-6)]),
                np.array([1.5, *[1.0] * d, 4.0]),
            ),
            least_noise=1e-9,
        )

    def _ask(self) -> np.ndarray:
        points, values = self.x, self.finite(self.values)
        asked: list[np.ndarray] = []
        for _ in range(self.popsize):
            if len(self.waiting):
                point, self.waiting = self.waiting[0], self.waiting[1:]
            elif not np.ptp(values):  # nothing to learn from yet
                point = self.cube.sample(self.rng, 1)[0]
            else:
                self.process.fit(points, values, optimise=not asked)
                point = self._most_promising(points, values)
                points = np.vstack([points, self.cube.snap(point[None])])
                values = np.append(values, self.process.predict(points[-1:])[0])
            asked.append(point)
        return np.array(asked)

    def _tell(self, x: np.ndarray, values: np.ndarray) -> None:
        self.x = np.vstack([self.x, self.cube.snap(x)])
        self.values = np.append(self.values, values)

    @staticmethod
    def finite(values: np.ndarray) -> np.ndarray:
        """The values, with the worst that is not a failure in the place of each failure."""
        failed = values >= BARRIER
        return np.where(failed, values[~failed].max() if (~failed).any() else 0.0, values)

    def acquisition(self, points: np.ndarray) -> np.ndarray:
        """log EI at points of the unit cube, (count, size), after the last `ask`; shape (count,)."""
        mean, std = self.process.predict(
            self.cube.snap(points) if not self.cube.continuous else points
        )
        # the best by the process's own account: a lucky noisy value is no bar to jump over
        best = self.process.predict(self.process.x)[0].min()
        return log_expected_improvement(mean, std, best)

    def _most_promising(self, seen: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The maximum of log EI: the best of many candidates, then better ones around it."""
        d = self.cube.size
        near = seen[np.argsort(values)[:3]]
        around = near[self.rng.integers(0, len(near), self.candidates // 4)]
        wide = 10 ** self.rng.uniform(-3, -0.5, (len(around), 1))
        around = around + wide * self.rng.standard_normal(around.shape)
        drawn = np.vstack([latin_hypercube(self.rng, self.candidates, d), self._inside(around)])
        score = self.acquisition(drawn)
        top = np.argsort(score)[-5:]
        best, value = drawn[top], score[top]
        for sigma in np.geomspace(0.1, 1e-4, 12):
            trial = best[:, None] + sigma * self.rng.standard_normal((len(best), 20, d))
            trial = self._inside(trial).reshape(-1, d)
            score = self.acquisition(trial).reshape(len(best), 20)
            better, rows = score.argmax(axis=1), np.arange(len(best))
            won = score[rows, better] > value
            best[won] = trial.reshape(len(best), 20, d)[rows, better][won]
            value = np.maximum(value, score[rows, better])
        return self._unseen(best[value.argmax()], drawn, seen)

    def _inside(self, points: np.ndarray) -> np.ndarray:
        """Points beyond a face of the cube, put on the face."""
        return np.clip(points, 0.0, 1.0)

    def _unseen(self, point: np.ndarray, others: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """`point`, or in a space of whole numbers and names the best candidate not tried before."""
        known = {row.tobytes() for row in seen}
        if self.cube.snap(point[None])[0].tobytes() not in known:
            return point
        for i in np.argsort(self.acquisition(others))[::-1]:
            if self.cube.snap(others[i : i + 1])[0].tobytes() not in known:
                return others[i]
        return self.cube.sample(self.rng, 1)[0]
