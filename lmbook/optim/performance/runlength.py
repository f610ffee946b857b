"""How long runs took to each target: success rates, expected running time, intervals, distribution."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmbook.backend.errors import ShapeError


@dataclass(frozen=True)
class RunLengths:
    """Runs of one algorithm on one function.

    `targets` (t,) fall; `hits` (runs, t) are the evaluations when each was reached, inf if never;
    `evaluations` (runs,) were spent in all.
    """

    targets: np.ndarray
    hits: np.ndarray
    evaluations: np.ndarray

    def __post_init__(self) -> None:
        runs, t = len(self.evaluations), len(self.targets)
        if self.hits.shape != (runs, t):
            raise ShapeError(
                f"RunLengths: {runs} runs and {t} targets need hits of shape ({runs}, {t}), "
                f"not {self.hits.shape}"
            )

    @property
    def success_rate(self) -> np.ndarray:
        """The share of runs that reached each target, (t,)."""
        return np.isfinite(self.hits).mean(axis=0)

    @property
    def ert(self) -> np.ndarray:
        """Expected running time to each target, (t,)."""
        return ert(self.hits, self.evaluations)

    def interval(self, confidence: float = 0.95, draws: int = 1000, seed: int = 0) -> np.ndarray:
        """A bootstrap interval of the expected running time, (2, t): runs are drawn with replacement."""
        if not 0 < confidence < 1:
            raise ValueError(f"interval: confidence must lie between 0 and 1, not {confidence}")
        runs = len(self.evaluations)
        drawn = np.random.default_rng(seed).integers(0, runs, (draws, runs))
        times = ert(self.hits[drawn], self.evaluations[drawn][..., None])
        tail = (1 - confidence) / 2
        low, high = np.quantile(times, [tail, 1 - tail], axis=0, method="inverted_cdf")
        return np.stack([low, high])

    def restarted(self, draws: int, seed: int = 0) -> np.ndarray:
        """Run lengths (draws, t) of an algorithm that is restarted until it succeeds: simulated.

        Draw runs with replacement; add up what the failures spent, and the first success's hit. inf where
        no run succeeded.
        """
        rng, runs = np.random.default_rng(seed), len(self.evaluations)
        total = np.full((draws, len(self.targets)), np.inf)
        for k in np.flatnonzero(np.isfinite(self.hits).any(axis=0)):
            spent, waiting = np.zeros(draws), np.arange(draws)
            while len(waiting):
                drawn = rng.integers(0, runs, len(waiting))
                hit = self.hits[drawn, k]
                done = np.isfinite(hit)
                spent[waiting] += np.where(done, hit, self.evaluations[drawn])
                waiting = waiting[~done]
            total[:, k] = spent
        return total


def ert(hits: Any, evaluations: Any) -> np.ndarray:
    """Expected running time: all evaluations of all runs until success, over the number of successes.

        ERT = (sum_{successes} hit + sum_{failures} evaluations) / successes;   inf without success

    `hits` (..., runs, t), `evaluations` (runs,) or (..., runs, 1). Runs that are restarted until one
    succeeds take that long on the average. Source: Price 1997; Hansen et al. 2021.
    """
    hits = np.asarray(hits, dtype=float)
    evaluations = np.asarray(evaluations, dtype=float)
    if evaluations.ndim == 1:
        evaluations = evaluations[:, None]
    success = np.isfinite(hits)
    spent = np.where(success, hits, evaluations).sum(axis=-2)
    count = success.sum(axis=-2)
    return np.where(count > 0, spent / np.maximum(count, 1), np.inf)


def ecdf(lengths: Any, grid: Any) -> np.ndarray:
    """The share of `lengths` (any shape; inf is never) that are at most each number of `grid`."""
    lengths = np.sort(np.asarray(lengths, dtype=float).ravel())
    if len(lengths) == 0 or np.isnan(lengths).any():
        raise ValueError("ecdf: needs at least one length, and no NaN; write inf for never")
    return np.searchsorted(lengths, np.asarray(grid, dtype=float), side="right") / len(lengths)


def area(lengths: Any, low: float, high: float) -> float:
    """The area under the ECDF between `low` and `high` on a logarithmic axis, from 0 to 1.

    mean over lengths of clip(ln(high / length) / ln(high / low), 0, 1)
    """
    if not 0 < low < high:
        raise ValueError(f"area: needs 0 < low < high, not {low} and {high}")
    lengths = np.asarray(lengths, dtype=float)
    share = np.log(high / np.clip(lengths, low, high)) / np.log(high / low)
    return float(share.mean())
