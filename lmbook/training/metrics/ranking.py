"""Scores instead of classes: the ROC and precision-recall curves, their areas and intervals.

Names and results are scikit-learn's. Ties count as they should: a threshold cannot part equal scores.
"""

import math
from typing import Any

import numpy as np

from lmbook.backend import ShapeError
from lmbook.training.metrics import checks
from lmbook.training.metrics.interval import (
    Interval,
    bootstrap_interval,
    quantile,
    wilson_interval,
)


def _steps(true: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False and true positives when everything from a threshold up is called positive, highest first."""
    order = np.argsort(-score, kind="stable")
    true, score = true[order], score[order]
    last = np.r_[np.flatnonzero(np.diff(score)), len(score) - 1]  # the last of equal scores
    hits = np.cumsum(true)[last]
    return last + 1 - hits, hits, score[last]


def roc_curve(
    y_true: Any, y_score: Any, pos_label: Any = 1, drop_intermediate: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False positive rate, true positive rate, thresholds; from (0, 0), threshold infinity, to (1, 1).

    `drop_intermediate` leaves out points on a straight piece, which the picture does not need.
    """
    true, score = checks.scores("roc_curve", y_true, y_score, pos_label)
    wrong, hits, thresholds = _steps(true, score)
    if drop_intermediate and len(wrong) > 2:
        bend = (np.diff(wrong, 2) != 0) | (np.diff(hits, 2) != 0)
        keep = np.r_[True, bend, True]
        wrong, hits, thresholds = wrong[keep], hits[keep], thresholds[keep]
    rates = np.r_[0, wrong] / (~true).sum(), np.r_[0, hits] / true.sum()
    return *rates, np.r_[np.inf, thresholds]


def midranks(x: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, number = np.unique(x, return_inverse=True, return_counts=True)
    end = np.cumsum(number)
    return (end - (number - 1) / 2)[place]


def _auc(true: np.ndarray, score: np.ndarray) -> float:
    m = int(true.sum())
    above = midranks(score)[true].sum() - m * (m + 1) / 2
    return float(above / (m * (len(true) - m)))


def roc_auc_score(y_true: Any, y_score: Any, pos_label: Any = 1) -> float:
    """Area under the ROC curve: P(a positive scores above a negative) + P(they tie) / 2.

    That is the statistic of Mann and Whitney (1947), computed from ranks. With scores of shape
    (n, classes) and classes 0 to k - 1: the mean over classes, each against the rest.
    """
    score = checks.array("roc_auc_score", "y_score", y_score)
    if score.ndim == 2:
        true = checks.array("roc_auc_score", "y_true", y_true)
        if true.ndim != 1 or len(true) != len(score):
            raise ShapeError(f"roc_auc_score: y_true {true.shape} for y_score {score.shape}")
        if not np.isin(true, np.arange(score.shape[1])).all():
            raise ValueError(f"roc_auc_score: classes must be 0 to {score.shape[1] - 1}")
        columns = range(score.shape[1])
        return float(np.mean([roc_auc_score(true == k, score[:, k], True) for k in columns]))
    return _auc(*checks.scores("roc_auc_score", y_true, score, pos_label))


def _components(true: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each positive the share of negatives below it, for each negative of positives above it."""
    positive, negative = score[true], score[~true]
    rank = midranks(np.r_[positive, negative])
    m, n = len(positive), len(negative)
    return (rank[:m] - midranks(positive)) / n, 1 - (rank[m:] - midranks(negative)) / m


def _delong(true: np.ndarray, *scores: np.ndarray) -> np.ndarray:
    """Covariance of the areas of several scores of the same examples (DeLong et al. 1988)."""
    parts = [_components(true, s) for s in scores]
    v10, v01 = (np.atleast_2d(np.cov(np.stack(v))) for v in zip(*parts))
    return v10 / true.sum() + v01 / (~true).sum()


def _hanley_mcneil(area: float, m: int, n: int) -> float:
    """Variance of the area if both classes' scores are exponential (Hanley and McNeil 1982)."""
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    return (area * (1 - area) + (m - 1) * (q1 - area**2) + (n - 1) * (q2 - area**2)) / (m * n)


def roc_auc_interval(
    y_true: Any, y_score: Any, pos_label: Any = 1, level: float = 0.95, method: str = "delong"
) -> Interval:
    """AUC with an interval on the scale log(A / (1 - A)), so that it stays in [0, 1].

    `method` is "delong", which assumes nothing about the scores, or "hanley-mcneil", which needs only
    A and the numbers of positives and negatives. Where the classes are parted without a mistake
    (A = 0 or 1) neither gives a width; then min(positives, negatives) pairs count as independent
    trials, all with the same outcome, and Wilson's interval is used.
    """
    true, score = checks.scores("roc_auc_interval", y_true, y_score, pos_label)
    if method not in ("delong", "hanley-mcneil"):
        raise ValueError(
            f"roc_auc_interval: method {method!r} is none of 'delong', 'hanley-mcneil'"
        )
    m, n = int(true.sum()), int((~true).sum())
    if min(m, n) < 2:
        raise ValueError(
            f"roc_auc_interval: {m} positives and {n} negatives; a spread needs two of each"
        )
    area = _auc(true, score)
    if area in (0.0, 1.0):
        low, high = wilson_interval(area * min(m, n), min(m, n), level)[1:3]
        return Interval(area, low, high, level)
    delong = method == "delong"
    variance = float(_delong(true, score)[0, 0]) if delong else _hanley_mcneil(area, m, n)
    middle = math.log(area / (1 - area))
    half = quantile(level) * math.sqrt(variance) / (area * (1 - area))
    low, high = (
        1 / (1 + math.exp(-min(max(e, -700), 700))) for e in (middle - half, middle + half)
    )
    return Interval(area, low, high, level)


def roc_auc_difference(
    y_true: Any, first: Any, second: Any, pos_label: Any = 1, level: float = 0.95
) -> Interval:
    """AUC of the first score minus that of the second, on the same examples (DeLong et al. 1988).

    They share the luck of the examples, so this is narrower than the two intervals suggest.
    """
    true, a = checks.scores("roc_auc_difference", y_true, first, pos_label)
    _, b = checks.scores("roc_auc_difference", y_true, second, pos_label)
    if min(true.sum(), (~true).sum()) < 2:
        raise ValueError("roc_auc_difference: a spread needs two positives and two negatives")
    cov = _delong(true, a, b)
    half = quantile(level) * math.sqrt(max(0.0, float(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1])))
    gap = _auc(true, a) - _auc(true, b)
    return Interval(gap, gap - half, gap + half, level)


def precision_recall_curve(
    y_true: Any, y_score: Any, pos_label: Any = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and increasing thresholds; a last point (1, 0) has no threshold."""
    true, score = checks.scores("precision_recall_curve", y_true, y_score, pos_label)
    wrong, hits, thresholds = _steps(true, score)
    precision, recall = hits / (hits + wrong), hits / true.sum()
    return np.r_[precision[::-1], 1.0], np.r_[recall[::-1], 0.0], thresholds[::-1]


def average_precision_score(y_true: Any, y_score: Any, pos_label: Any = 1) -> float:
    """sum_t (R_t - R_{t-1}) P_t over thresholds: the mean precision where another positive is found.

    The trapezoid rule would join points that no threshold reaches, and flatter (Davis, Goadrich 2006).
    """
    checks.scores("average_precision_score", y_true, y_score, pos_label)
    precision, recall, _ = precision_recall_curve(y_true, y_score, pos_label)
    return float(-(np.diff(recall) * precision[:-1]).sum())


def average_precision_interval(
    y_true: Any, y_score: Any, pos_label: Any = 1, level: float = 0.95, n_resamples: int = 1000,
    seed: int = 0,
) -> Interval:  # fmt: skip
    """Average precision with a bootstrap interval that keeps the number of each class."""
    true, score = checks.scores("average_precision_interval", y_true, y_score, pos_label)
    return bootstrap_interval(
        average_precision_score, true, score, level=level, n_resamples=n_resamples, seed=seed,
        stratify=true, method="bca",
    )  # fmt: skip
