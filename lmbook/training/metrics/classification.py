"""Accuracy, precision, recall and F1 of predicted classes, with the confusion matrix they come from.

Names, arguments and results are scikit-learn's, except that an undefined ratio is `zero_division`
without a warning, and NaN is refused.
"""

from typing import Any

import numpy as np

from lmbook.training.metrics import checks
from lmbook.training.metrics.interval import Interval, bootstrap_interval, wilson_interval

AVERAGES = ("binary", "micro", "macro", "weighted", None)


def confusion_matrix(
    y_true: Any, y_pred: Any, labels: Any = None, normalize: str | None = None
) -> np.ndarray:
    """C[i, j]: how many examples of class i were taken for class j; shape (classes, classes).

    Classes are those that occur, in order, or `labels`; an example with another class is not
    counted. `normalize` divides by the row ("true"), the column ("pred") or the total ("all").
    """
    true, pred = checks.labels("confusion_matrix", y_true, y_pred)
    classes = np.unique(np.concatenate([true, pred])) if labels is None else np.asarray(labels)
    if len(np.unique(classes)) != len(classes) or not len(classes):
        raise ValueError(f"confusion_matrix: labels {list(classes)} must name each class once")
    order = np.argsort(classes)

    def number(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        place = np.minimum(np.searchsorted(classes, values, sorter=order), len(classes) - 1)
        return order[place], classes[order[place]] == values

    (i, known_i), (j, known_j) = number(true), number(pred)
    known, k = known_i & known_j, len(classes)
    counts = np.bincount(i[known] * k + j[known], minlength=k * k).reshape(k, k)
    if normalize is None:
        return counts
    totals = {"true": counts.sum(1, keepdims=True), "pred": counts.sum(0), "all": counts.sum()}
    if normalize not in totals:
        raise ValueError(f"confusion_matrix: normalize {normalize!r} is none of {list(totals)}")
    return counts / np.maximum(totals[normalize], 1)


def accuracy_score(y_true: Any, y_pred: Any) -> float:
    """Share of examples whose class was predicted."""
    true, pred = checks.labels("accuracy_score", y_true, y_pred)
    return float((true == pred).mean())


def counts(
    name: str, y_true: Any, y_pred: Any, labels: Any = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Classes, and for each: true positives, predicted, present."""
    true, pred = checks.labels(name, y_true, y_pred)
    classes = np.unique(np.concatenate([true, pred])) if labels is None else np.asarray(labels)
    hits, predicted, present = (
        np.array([(v == c).sum() for c in classes]) for v in (true[true == pred], pred, true)
    )
    return classes, hits, predicted, present


def _ratio(top: Any, bottom: Any, zero_division: float) -> np.ndarray:
    top, bottom = np.asarray(top, float), np.asarray(bottom, float)
    return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1), zero_division)


def _score(
    kind: str, y_true: Any, y_pred: Any, labels: Any, pos_label: Any, average: str | None,
    zero_division: float,
) -> Any:  # fmt: skip
    name = f"{kind}_score"
    if average not in AVERAGES:
        raise ValueError(f"{name}: average {average!r} is none of {AVERAGES}")
    classes, hits, predicted, present = counts(name, y_true, y_pred, labels)
    if average == "binary":
        if len(classes) > 2:
            raise ValueError(
                f"{name}: {len(classes)} classes, but average='binary' is for two; choose 'macro' (all "
                "classes weigh the same), 'micro' (all examples do), 'weighted', or None (one score each)"
            )
        if len(classes) == 2 and pos_label not in classes.tolist():
            raise ValueError(f"{name}: pos_label {pos_label!r} is none of {classes.tolist()}")
        at = classes == pos_label
        hits, predicted, present = hits[at].sum(), predicted[at].sum(), present[at].sum()
    elif average == "micro":
        hits, predicted, present = hits.sum(), predicted.sum(), present.sum()
    # F1 = 2 TP / (predicted + present): the harmonic mean of precision and recall
    bottom = {"precision": predicted, "recall": present, "f1": (predicted + present) / 2}[kind]
    each = _ratio(hits, bottom, zero_division)
    if average is None:
        return each
    if average == "weighted":
        return float(np.average(each, weights=present)) if present.sum() else float(zero_division)
    return float(each.mean())


def precision_score(
    y_true: Any, y_pred: Any, labels: Any = None, pos_label: Any = 1,
    average: str | None = "binary", zero_division: float = 0.0,
) -> Any:  # fmt: skip
    """TP / (TP + FP): of those predicted to be of a class, the share that is.

    `average`: "binary" (of `pos_label`), "micro", "macro", "weighted", or None: an array, one a class.
    """
    return _score("precision", y_true, y_pred, labels, pos_label, average, zero_division)


def recall_score(
    y_true: Any, y_pred: Any, labels: Any = None, pos_label: Any = 1,
    average: str | None = "binary", zero_division: float = 0.0,
) -> Any:  # fmt: skip
    """TP / (TP + FN): of those that are of a class, the share that was found; see `precision_score`."""
    return _score("recall", y_true, y_pred, labels, pos_label, average, zero_division)


def f1_score(
    y_true: Any, y_pred: Any, labels: Any = None, pos_label: Any = 1,
    average: str | None = "binary", zero_division: float = 0.0,
) -> Any:  # fmt: skip
    """2 TP / (2 TP + FP + FN): the harmonic mean of precision and recall; see `precision_score`."""
    return _score("f1", y_true, y_pred, labels, pos_label, average, zero_division)


def accuracy_interval(y_true: Any, y_pred: Any, level: float = 0.95) -> Interval:
    """Accuracy with Wilson's interval."""
    true, pred = checks.labels("accuracy_interval", y_true, y_pred)
    return wilson_interval(int((true == pred).sum()), len(true), level)


def _share(name: str, y_true: Any, y_pred: Any, pos_label: Any, level: float) -> Interval:
    _, hits, predicted, present = counts(name, y_true, y_pred, [pos_label])
    n = int((predicted if name == "precision_interval" else present)[0])
    if n == 0:
        what = "predicted to be" if name == "precision_interval" else "of class"
        raise ValueError(
            f"{name}: no example is {what} {pos_label!r}, so that nothing was measured"
        )
    return wilson_interval(int(hits[0]), n, level)


def precision_interval(
    y_true: Any, y_pred: Any, pos_label: Any = 1, level: float = 0.95
) -> Interval:
    """Precision of one class with Wilson's interval, given how many were predicted."""
    return _share("precision_interval", y_true, y_pred, pos_label, level)


def recall_interval(y_true: Any, y_pred: Any, pos_label: Any = 1, level: float = 0.95) -> Interval:
    """Recall of one class with Wilson's interval, given how many are of that class."""
    return _share("recall_interval", y_true, y_pred, pos_label, level)


def f1_interval(
    y_true: Any, y_pred: Any, labels: Any = None, pos_label: Any = 1, average: str = "binary",
    level: float = 0.95, n_resamples: int = 1000, seed: int = 0,
) -> Interval:  # fmt: skip
    """F1 with a bootstrap interval. It is no share of a fixed number, so Wilson's does not apply."""
    true, pred = checks.labels("f1_interval", y_true, y_pred)
    if average is None:
        raise ValueError(
            "f1_interval: average=None gives many scores; ask for one class by pos_label"
        )
    if labels is None and average != "binary":  # a class missing from a resample still counts
        labels = np.unique(np.concatenate([true, pred]))

    def score(a: np.ndarray, b: np.ndarray) -> float:
        if average == "binary":
            return f1_score(a == pos_label, b == pos_label, labels=[False, True], pos_label=True)
        return f1_score(a, b, labels=labels, average=average)

    f1_score(true, pred, labels, pos_label, average)  # refuses what it refuses
    return bootstrap_interval(score, true, pred, level=level, n_resamples=n_resamples, seed=seed)
