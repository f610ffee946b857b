"""Intervals: how far the truth may be from a figure measured on a sample.

An interval of level 0.95 is made by a rule that covers the true value in 95 of 100 samples. Every
rule here is tested by drawing samples and counting.
"""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from lmbook.backend import NonFiniteError, ShapeError
from lmbook.training.metrics import checks


class Interval(NamedTuple):
    """A figure with the ends of its interval."""

    value: float
    low: float
    high: float
    level: float = 0.95

    def __contains__(self, x: object) -> bool:
        return isinstance(x, int | float | np.number) and bool(self.low <= x <= self.high)

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def quantile(level: float) -> float:
    """The z for which a standard normal number lies in [-z, z] with probability `level`."""
    if not 0 < level < 1:
        raise ValueError(f"interval: level = {level} must lie between 0 and 1, such as 0.95")
    return NormalDist().inv_cdf((1 + level) / 2)


def student(level: float, freedom: int) -> float:
    """The same for Student's t, by its expansion around the normal (Fisher and Cornish 1960).

    The error is below 2 % from 4 degrees of freedom on, and below 0.01 % from 20 on.
    """
    z, v = quantile(level), freedom
    one = (z**3 + z) / 4
    two = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    three = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + one / v + two / v**2 + three / v**3


def wilson_interval(successes: float, n: float, level: float = 0.95) -> Interval:
    """A share k / n: all p that a test of level z would not reject (Wilson 1927).

        (k + z^2/2) / (n + z^2)  +-  z / (n + z^2) sqrt(k (n - k) / n + z^2 / 4)

    Stays in [0, 1] and is sound for k = 0 and k = n, where k/n +- z s has no width at all.
    """
    if not 0 <= successes <= n or n <= 0:
        raise ValueError(f"wilson_interval: {successes} successes of {n} make no share")
    z = quantile(level)
    middle = (successes + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(successes * (n - successes) / n + z * z / 4)
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == n else min(1.0, middle + half)
    return Interval(successes / n, low, high, level)


def mean_interval(values: Any, level: float = 0.95, groups: Any = None) -> Interval:
    """The mean of independent values: mean +- t s / sqrt(n).

    With `groups` (one entry a value, such as the document it comes from) only the groups count as
    independent: the mean is total / number, a ratio of two sums over groups (Cochran 1977).
    """
    x = checks.array("mean_interval", "values", values).astype(np.float64)
    if x.ndim != 1:
        raise ShapeError(f"mean_interval: values must be a vector, got shape {x.shape}")
    if groups is None:
        return ratio_interval(x, np.ones_like(x), level)
    members = np.asarray(groups)
    if members.shape != x.shape:
        raise ShapeError(f"mean_interval: groups {members.shape} for values {x.shape}")
    index = np.unique(members, return_inverse=True)[1]
    return ratio_interval(np.bincount(index, x), np.bincount(index).astype(float), level)


def ratio_interval(top: Any, bottom: Any, level: float = 0.95) -> Interval:
    """r = sum(top) / sum(bottom) over n independent pairs (Cochran 1977).

    r +- t sqrt(n / (n - 1) sum (top - r bottom)^2) / sum(bottom)
    """
    x = checks.array("ratio_interval", "top", top).astype(np.float64)
    y = checks.array("ratio_interval", "bottom", bottom).astype(np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ShapeError(
            f"ratio_interval: top {x.shape} and bottom {y.shape} must be equal vectors"
        )
    if len(x) < 2:
        raise ValueError("interval: one independent value has no spread; give two or more")
    if y.min() < 0 or y.sum() <= 0:
        raise ValueError("ratio_interval: bottom must hold sizes, none negative, not all zero")
    n, r = len(x), float(x.sum() / y.sum())
    half = student(level, n - 1) * math.sqrt(n / (n - 1) * ((x - r * y) ** 2).sum()) / y.sum()
    return Interval(r, r - float(half), r + float(half), level)


def bootstrap_interval(
    metric: Callable[..., float],
    *arrays: Any,
    level: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
    groups: Any = None,
    stratify: Any = None,
    method: str = "percentile",
) -> Interval:
    """metric(*arrays) with an interval from samples of the sample (Efron 1979).

    Rows are drawn with replacement, the same of every array; whole groups of rows if `groups` is
    given; from each class of `stratify` as many as it has, so that no class gets lost. `method` is
    "percentile", the middle of the resampled values, or "bca", which corrects for bias and skew
    (Efron 1987) and costs one more evaluation for each row (or group).
    """
    held = [checks.array("bootstrap_interval", f"array {i}", a) for i, a in enumerate(arrays)]
    if not held or any(a.ndim == 0 or len(a) != len(held[0]) for a in held):
        shapes = [a.shape for a in held]
        raise ShapeError(f"bootstrap_interval: arrays need one and the same length, got {shapes}")
    if method not in ("percentile", "bca"):
        raise ValueError(f"bootstrap_interval: method {method!r} is neither 'percentile' nor 'bca'")
    if n_resamples < 100:
        raise ValueError(
            f"bootstrap_interval: n_resamples = {n_resamples} gives no quantile; 100 do"
        )
    z = quantile(level)
    units, strata = _units(len(held[0]), groups, stratify)
    rng = np.random.default_rng(seed)

    def value(chosen: np.ndarray) -> float:
        rows = chosen if units is None else np.concatenate([units[i] for i in chosen])
        return float(metric(*(a[rows] for a in held)))

    everything = np.sort(np.concatenate(strata))
    whole = value(everything)
    draws = np.array([
        value(np.concatenate([s[rng.integers(0, len(s), len(s))] for s in strata]))
        for _ in range(n_resamples)
    ])  # fmt: skip
    if not np.isfinite(draws).all() or not np.isfinite(whole):
        raise NonFiniteError(
            "bootstrap_interval: the metric is not finite on some samples; stratify by y_true, so that "
            "every class occurs in each"
        )
    ends = NormalDist().cdf(-z), NormalDist().cdf(z)
    if method == "bca":
        ends = _bca_levels(value, everything, whole, draws, z)
    low, high = np.quantile(draws, ends)
    return Interval(whole, float(low), float(high), level)


def _units(n: int, groups: Any, stratify: Any) -> tuple[list[np.ndarray] | None, list[np.ndarray]]:
    """The rows of each group (None: a row is a group), and the numbers of the groups of each stratum."""
    if groups is not None and stratify is not None:
        raise ValueError("bootstrap_interval: give groups or stratify, not both")
    for what, given in (("groups", groups), ("stratify", stratify)):
        if given is not None and np.shape(given) != (n,):
            raise ShapeError(f"bootstrap_interval: {what} {np.shape(given)} for {n} rows")
    if groups is not None:
        index = np.unique(np.asarray(groups), return_inverse=True)[1]
        rows = np.split(np.argsort(index, kind="stable"), np.cumsum(np.bincount(index))[:-1])
        return rows, [np.arange(len(rows))]
    if stratify is None:
        return None, [np.arange(n)]
    kind = np.asarray(stratify)
    return None, [np.flatnonzero(kind == k) for k in np.unique(kind)]


def _bca_levels(
    value: Callable[[np.ndarray], float], everything: np.ndarray, whole: float,
    draws: np.ndarray, z: float,
) -> tuple[float, float]:  # fmt: skip
    """Which quantiles of the draws to take, after bias and acceleration."""
    normal = NormalDist()
    below = (draws < whole).mean() + (draws == whole).mean() / 2
    bias = normal.inv_cdf(min(max(below, 1 / len(draws)), 1 - 1 / len(draws)))
    left = np.array([value(np.delete(everything, i)) for i in range(len(everything))])
    d = left.mean() - left
    spread = float((d**2).sum())
    skew = float((d**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0

    def moved(end: float) -> float:
        return normal.cdf(bias + (bias + end) / (1 - skew * (bias + end)))

    return moved(-z), moved(z)
