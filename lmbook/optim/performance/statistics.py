"""Is the difference more than chance? Tests by signs and ranks, which do not care how far off a run was.

Names as in scipy.stats; every one takes inf, for a run that never arrived. All are two-sided.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from lmbook.backend.errors import ShapeError
from lmbook.optim.performance.distributions import chi2_sf, normal_sf, studentized_range_ppf


class SignificanceResult(NamedTuple):
    """The statistic, and the probability of one at least as extreme if there is no difference."""

    statistic: float
    pvalue: float


def rankdata(values: Any) -> np.ndarray:
    """Ranks from 1, the smallest first; equal values share the mean of theirs. inf is a value like others."""
    v = np.asarray(values, dtype=float)
    if v.ndim != 1 or np.isnan(v).any():
        raise ValueError(f"rankdata: needs one row of numbers without NaN, got shape {v.shape}")
    _, place, counts = np.unique(v, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place]


def sign_test(x: Any, y: Any) -> SignificanceResult:
    """Of pairs that differ, how many have x > y? Under no difference, binomial with 1/2.

    The statistic is that number; ties are left out.
    """
    x, y = _pairs("sign_test", x, y)
    wins, losses = int((x > y).sum()), int((x < y).sum())
    n = wins + losses
    tail = sum(math.comb(n, i) for i in range(min(wins, losses) + 1)) / 2**n
    return SignificanceResult(float(wins), min(1.0, 2 * tail))


def wilcoxon(x: Any, y: Any) -> SignificanceResult:
    """Signed ranks of paired differences; the statistic is the smaller of the two sums of ranks.

    Pairs without a difference are left out. Up to 50 pairs the distribution is counted, ties included;
    beyond, it is normal. A pair of two infs is no difference; inf against a number is the largest.
    Source: Wilcoxon 1945.
    """
    x, y = _pairs("wilcoxon", x, y)
    with np.errstate(invalid="ignore"):
        d = np.where(x == y, 0.0, x - y)
    d = d[d != 0]
    n = len(d)
    if n == 0:
        return SignificanceResult(0.0, 1.0)
    ranks = rankdata(np.abs(d))
    up = ranks[d > 0].sum()
    smaller = float(min(up, n * (n + 1) / 2 - up))
    if n <= 50:
        return SignificanceResult(smaller, min(1.0, 2 * _signed_rank_cdf(ranks, smaller)))
    ties = _tie_sum(np.abs(d))
    spread = math.sqrt((n * (n + 1) * (2 * n + 1) - ties / 2) / 24)
    return SignificanceResult(
        smaller, min(1.0, 2 * normal_sf((n * (n + 1) / 4 - smaller) / spread))
    )


def _signed_rank_cdf(ranks: np.ndarray, sum_up: float) -> float:
    """P(sum of the ranks whose sign is + <= sum_up), all 2^n signs alike; ranks doubled are whole numbers."""
    double = np.round(2 * ranks).astype(int)
    chance = np.zeros(double.sum() + 1)
    chance[0] = 1.0
    for r in double:
        chance[r:] = (chance[r:] + chance[: len(chance) - r]) / 2
        chance[:r] /= 2
    return float(chance[: round(2 * sum_up) + 1].sum())


def mannwhitneyu(x: Any, y: Any) -> SignificanceResult:
    """In how many pairs (x_i, y_j) is x_i larger? Ties count half. For two independent samples.

        U = R_x - n_x (n_x + 1) / 2,   R_x the sum of x's ranks among all

    The distribution is counted where a sample has at most 8 and there are no ties; else it is normal, with a
    correction for ties and of 1/2 for continuity. Mann and Whitney 1947.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    n, m = len(x), len(y)
    if x.ndim != 1 or y.ndim != 1 or n == 0 or m == 0:
        raise ShapeError(
            f"mannwhitneyu: needs two samples in one row each, got {x.shape} and {y.shape}"
        )
    together = np.concatenate([x, y])
    u = float(rankdata(together)[:n].sum() - n * (n + 1) / 2)
    larger, ties = max(u, n * m - u), _tie_sum(together)
    if ties == 0 and min(n, m) <= 8:
        ways = _u_counts(n, m)
        return SignificanceResult(u, min(1.0, 2 * float(ways[int(larger) :].sum() / ways.sum())))
    total = n + m
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance <= 0:
        return SignificanceResult(u, 1.0)
    return SignificanceResult(
        u, min(1.0, 2 * normal_sf((larger - n * m / 2 - 0.5) / math.sqrt(variance)))
    )


def _u_counts(n: int, m: int) -> np.ndarray:
    """Orders of n and m things for each U: coefficients of prod_{i<=n} (1 - q^(m+i)) / (1 - q^i)."""
    ways = np.zeros(n * m + 1)
    ways[0] = 1
    for i in range(1, n + 1):
        for u in range(n * m, m + i - 1, -1):
            ways[u] -= ways[u - m - i]
        for u in range(i, n * m + 1):
            ways[u] += ways[u - i]
    return ways


def friedmanchisquare(table: Any) -> SignificanceResult:
    """Do columns (algorithms) differ over rows (problems)? Ranks within each row, then their mean by column.

        chi2 = (12 / (N k (k+1)) sum_j R_j^2 - 3 N (k+1)) / (1 - ties / (N k (k^2 - 1))),   k - 1 degrees

    Source: Friedman 1937.
    """
    table = _table(table)
    n, k = table.shape
    sums = n * average_ranks(table)
    ties = sum(_tie_sum(row) for row in table)
    share = 1 - ties / (n * k * (k * k - 1))
    if share <= 0:
        return SignificanceResult(0.0, 1.0)
    chi2 = (12 / (n * k * (k + 1)) * (sums**2).sum() - 3 * n * (k + 1)) / share
    return SignificanceResult(float(chi2), chi2_sf(float(chi2), k - 1))


def average_ranks(table: Any) -> np.ndarray:
    """The mean rank of each column of (problems, algorithms); 1 is best everywhere."""
    return np.mean([rankdata(row) for row in _table(table)], axis=0)


def critical_difference(algorithms: int, problems: int, alpha: float = 0.05) -> float:
    """Average ranks that differ by more are different, all pairs considered: Nemenyi's test.

        q_alpha(k) / sqrt(2) sqrt(k (k + 1) / (6 N)),   q of the studentised range

    Sources: Nemenyi 1963; Demsar 2006.
    """
    if problems < 1:
        raise ValueError(f"critical_difference: needs at least one problem, not {problems}")
    q = studentized_range_ppf(alpha, algorithms) / math.sqrt(2)
    return q * math.sqrt(algorithms * (algorithms + 1) / (6 * problems))


def holm(pvalues: Any) -> np.ndarray:
    """P-values corrected so that ANY false alarm among all has at most the stated chance. Holm 1979.

    The i-th smallest of m is multiplied by m - i + 1; none may be smaller than the one before.
    """
    p, order = _pvalues("holm", pvalues)
    m = len(p)
    raised = np.maximum.accumulate(p[order] * (m - np.arange(m)))
    return _back(np.minimum(1, raised), order)


def benjamini_hochberg(pvalues: Any) -> np.ndarray:
    """P-values corrected so that the expected SHARE of false alarms is at most as stated.

    The i-th smallest of m is multiplied by m / i; none may be larger than the one after. Benjamini and
    Hochberg 1995, for independent or positively dependent tests.
    """
    p, order = _pvalues("benjamini_hochberg", pvalues)
    m = len(p)
    raised = p[order] * m / np.arange(1, m + 1)
    return _back(np.minimum(1, np.minimum.accumulate(raised[::-1])[::-1]), order)


def _tie_sum(values: np.ndarray) -> float:
    """sum of t^3 - t over groups of t equal values."""
    t = np.unique(values, return_counts=True)[1].astype(float)
    return float((t**3 - t).sum())


def _pairs(name: str, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.shape != y.shape or x.ndim != 1:
        raise ShapeError(f"{name}: needs pairs in two rows alike, got {x.shape} and {y.shape}")
    return x, y


def _table(table: Any) -> np.ndarray:
    t = np.asarray(table, dtype=float)
    if t.ndim != 2 or t.shape[0] < 1 or t.shape[1] < 2:
        raise ShapeError(
            f"ranks: needs a table (problems, algorithms) with two columns or more, got {t.shape}"
        )
    return t


def _pvalues(name: str, pvalues: Any) -> tuple[np.ndarray, np.ndarray]:
    p = np.asarray(pvalues, dtype=float)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"{name}: needs one row of probabilities, got {pvalues}")
    return p, np.argsort(p, kind="stable")


def _back(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    out = np.empty_like(values)
    out[order] = values
    return out
