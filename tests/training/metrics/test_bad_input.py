"""What a metric cannot answer it refuses, and says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lmbook.backend import NonFiniteError, ShapeError
from lmbook.training import metrics as m

TRUE, PRED = np.array([0, 1, 1, 0]), np.array([0.2, 0.7, 0.6, 0.4])
BAD = np.array([0.2, np.nan, 0.6, 0.4])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    "metric",
    [
        m.accuracy_score, m.precision_score, m.recall_score, m.f1_score, m.confusion_matrix,
        m.accuracy_interval, m.precision_interval, m.recall_interval, m.f1_interval, m.roc_curve,
        m.roc_auc_score, m.roc_auc_interval, m.precision_recall_curve, m.average_precision_score,
        m.average_precision_interval, m.log_loss, m.log_loss_interval, m.brier_score_loss,
        m.brier_score_interval, m.reliability, m.expected_calibration_error,
        m.expected_calibration_error_interval,
    ],
)  # fmt: skip
def test_nan_is_refused_on_either_side(metric: Callable[..., Any], bad: float) -> None:
    spoiled = np.array([0.0, bad, 1.0, 0.0])
    with pytest.raises(NonFiniteError, match=r"holds (nan|inf) at position 1; drop such examples"):
        metric(TRUE, spoiled)
    with pytest.raises(NonFiniteError, match="y_true holds"):
        metric(spoiled, TRUE)


@pytest.mark.parametrize(
    "call",
    [
        lambda: m.perplexity(BAD), lambda: m.perplexity_interval(BAD),
        lambda: m.bits_per_byte(BAD, [1, 2, 3, 4]), lambda: m.mean_interval(BAD),
        lambda: m.bits_per_byte_interval(BAD, [1, 2, 3, 4]),
        lambda: m.bootstrap_interval(np.mean, BAD), lambda: m.calibrated_level(BAD),
        lambda: m.roc_auc_difference(TRUE, PRED, BAD), lambda: m.ratio_interval(BAD, PRED),
    ],
)  # fmt: skip
def test_nan_is_refused_elsewhere(call: Callable[[], Any]) -> None:
    with pytest.raises(NonFiniteError, match="nan at position 1"):
        call()


@pytest.mark.parametrize(
    "metric",
    [
        m.roc_curve, m.roc_auc_score, m.roc_auc_interval, m.precision_recall_curve,
        m.average_precision_score, m.average_precision_interval,
    ],
)  # fmt: skip
def test_a_ranking_of_one_class_is_refused(metric: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="holds only positives; a ranking needs both classes"):
        metric(np.ones(4, int), PRED)
    with pytest.raises(ValueError, match="holds no positives"):
        metric(np.zeros(4, int), PRED)


def test_one_class_has_documented_values_elsewhere() -> None:
    none = np.zeros(4, int)
    assert m.accuracy_score(none, none) == 1 and m.f1_score(none, none) == 0
    assert m.recall_score(none, none, zero_division=1.0) == 1
    assert m.log_loss(none, np.full(4, 0.5)) == pytest.approx(np.log(2))
    assert m.confusion_matrix(none, none).tolist() == [[4]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: m.accuracy_score([], []), r"y_true is empty, shape \(0,\)"),
        (lambda: m.accuracy_score([0, 1], [0]), r"y_true \(2,\) and y_pred \(1,\) must be vectors"),
        (lambda: m.accuracy_score([0, 1], np.eye(2)), r"such as logits\.argmax\(axis=1\)"),
        (lambda: m.accuracy_score(TRUE, PRED), "y_pred holds fractions; give classes, not scores"),
        (lambda: m.accuracy_score(TRUE, ["a", "b", "a", "b"]), "one is text"),
        (lambda: m.accuracy_score([0, None], [0, 1]), "mixes types"),
        (lambda: m.f1_score([0, 1, 2], [0, 1, 2]), "3 classes, but average='binary' is for two"),
        (lambda: m.f1_score([3, 4], [3, 4]), r"pos_label 1 is none of \[3, 4\]"),
        (lambda: m.f1_score(TRUE, TRUE, average="all"), r"average 'all' is none of"),
        (lambda: m.f1_interval(TRUE, TRUE, average=None), "ask for one class by pos_label"),
        (lambda: m.confusion_matrix(TRUE, TRUE, labels=[0, 0]), "must name each class once"),
        (lambda: m.confusion_matrix(TRUE, TRUE, normalize="row"), "normalize 'row' is none of"),
        (lambda: m.recall_interval(TRUE, TRUE, pos_label=7), "no example is of class 7"),
        (lambda: m.precision_interval(TRUE, 0 * TRUE), "no example is predicted to be 1"),
        (lambda: m.roc_auc_score([0, 1, 2], [0.1, 0.2, 0.3]), "3 classes, two are expected"),
        (
            lambda: m.roc_auc_score([3, 4], [0.1, 0.2]),
            r"pos_label 1 is none of the classes \[3, 4\]",
        ),
        (lambda: m.roc_auc_score(np.eye(2), PRED), "must be a vector"),
        (lambda: m.roc_auc_score([0, 5], np.eye(2)), "classes must be 0 to 1"),
        (lambda: m.roc_auc_score([0], np.eye(2)), r"y_true \(1,\) for y_score \(2, 2\)"),
        (lambda: m.roc_auc_score([0, 0], np.eye(2)), "needs both classes"),
        (lambda: m.roc_auc_score(TRUE, PRED[:3]), "must be vectors of one length"),
        (lambda: m.roc_auc_interval([0, 0, 1], [1, 2, 3]), "1 positives and 2 negatives"),
        (lambda: m.roc_auc_interval(TRUE, PRED, method="exact"), "is none of 'delong'"),
        (lambda: m.roc_auc_difference([0, 1], [1, 2], [1, 2]), "a spread needs two"),
        (lambda: m.log_loss(TRUE, PRED * 3), "rows sum to 1, but they lie in"),
        (lambda: m.log_loss(TRUE, np.full((4, 2), 0.3)), "take softmax of logits first"),
        (lambda: m.log_loss([0, 3], np.eye(2)), "must hold the numbers 0 to 1"),
        (lambda: m.log_loss([0, 1, 1], np.eye(2)), r"y_true \(3,\) and y_prob \(2, 2\)"),
        (lambda: m.reliability(TRUE, PRED, strategy="even"), "neither 'uniform' nor 'quantile'"),
        (lambda: m.reliability(TRUE, PRED, n_bins=0), "n_bins = 0 must be 1 or more"),
        (lambda: m.perplexity([-0.5, 1.0]), "give -log p of each token, none negative"),
        (lambda: m.bits_per_byte([1.0], [0]), "n_bytes must hold lengths"),
        (lambda: m.bits_per_byte_interval([1.0, 2.0], [3]), r"nats \(2,\) and n_bytes \(1,\)"),
        (lambda: m.wilson_interval(5, 4), "5 successes of 4 make no share"),
        (lambda: m.wilson_interval(0, 0), "0 successes of 0"),
        (lambda: m.wilson_interval(1, 4, level=95), "level = 95 must lie between 0 and 1"),
        (lambda: m.mean_interval([1.0]), "one independent value has no spread"),
        (lambda: m.mean_interval([1.0, 2.0], groups=[0, 0]), "one independent value"),
        (lambda: m.mean_interval(np.eye(2)), "must be a vector"),
        (lambda: m.mean_interval([1.0, 2.0], groups=[0]), r"groups \(1,\) for values \(2,\)"),
        (lambda: m.ratio_interval([1.0, 2.0], [1.0]), "must be equal vectors"),
        (lambda: m.ratio_interval([1.0, 2.0], [0, 0]), "bottom must hold sizes"),
        (lambda: m.bootstrap_interval(np.mean), "one and the same length"),
        (lambda: m.bootstrap_interval(np.mean, PRED, TRUE[:2]), r"got \[\(4,\), \(2,\)\]"),
        (lambda: m.bootstrap_interval(np.mean, PRED, method="t"), "neither 'percentile' nor"),
        (lambda: m.bootstrap_interval(np.mean, PRED, n_resamples=5), "gives no quantile"),
        (lambda: m.bootstrap_interval(np.mean, PRED, groups=[0]), r"groups \(1,\) for 4 rows"),
        (lambda: m.bootstrap_interval(np.mean, PRED, groups=TRUE, stratify=TRUE), "not both"),
    ],
)
def test_errors_say_what_is_wrong(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert issubclass(caught.type, ShapeError | ValueError)


def test_a_metric_that_breaks_on_a_resample_asks_for_strata() -> None:
    true, score = np.array([1, 0, 0, 0, 0, 0]), np.arange(6.0)

    def ratio(t: np.ndarray, s: np.ndarray) -> float:
        return float(s[t == 1].sum() / t.sum()) if t.any() else np.nan

    with pytest.raises(NonFiniteError, match="stratify by y_true"):
        m.bootstrap_interval(ratio, true, score)
    assert m.bootstrap_interval(ratio, true, score, stratify=true).value == 0
