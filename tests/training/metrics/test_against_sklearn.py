"""Every metric equals scikit-learn's on random inputs: ties, absent classes, names as classes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as theirs
from sklearn.calibration import calibration_curve

from lmbook.training import metrics as ours

SEEDS = range(12)


def predictions(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes of which some are never predicted and some never true; every third time names."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(1, 60)), int(rng.integers(1, 6))
    true, pred = rng.integers(0, k, n), rng.integers(0, k + 1, n)
    agree = rng.random(n) < 0.4
    pred[agree] = true[agree]
    if seed % 3 == 0:
        names = np.array(["ant", "bee", "cat", "dog", "elk", "fox"])
        return names[true], names[pred]
    return true, pred


def scored(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Both classes, and scores that tie often on even seeds."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 80))
    true = rng.integers(0, 2, n)
    true[:2] = [0, 1]
    score = rng.normal(size=n) + true
    return true, (np.round(score, 0) if seed % 2 == 0 else score)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("average", ["micro", "macro", "weighted", None])
def test_precision_recall_f1(seed: int, average: str | None) -> None:
    true, pred = predictions(seed)
    for name in ("precision_score", "recall_score", "f1_score"):
        for zero in (0.0, 1.0):
            want = getattr(theirs, name)(true, pred, average=average, zero_division=zero)
            got = getattr(ours, name)(true, pred, average=average, zero_division=zero)
            np.testing.assert_allclose(got, want, rtol=1e-12, err_msg=f"{name} {zero}")
    assert ours.accuracy_score(true, pred) == pytest.approx(theirs.accuracy_score(true, pred))


@pytest.mark.parametrize("seed", SEEDS)
def test_two_classes_with_and_without_a_positive(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true, pred = rng.integers(0, 2, 12), rng.integers(0, 2, 12)
    cases = [
        (true, pred),
        (np.zeros(5, int), np.zeros(5, int)),
        (np.ones(5, int), np.zeros(5, int)),
    ]
    for a, b in cases:
        for name in ("precision_score", "recall_score", "f1_score"):
            want = getattr(theirs, name)(a, b, zero_division=0.0)
            assert getattr(ours, name)(a, b) == pytest.approx(want), name


@pytest.mark.parametrize("seed", SEEDS)
def test_some_labels_only(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true, pred = rng.integers(0, 4, 30), rng.integers(0, 4, 30)
    for average in ("micro", "macro", None):
        want = theirs.f1_score(true, pred, labels=[3, 1], average=average, zero_division=0.0)
        got = ours.f1_score(true, pred, labels=[3, 1], average=average)
        np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("normalize", [None, "true", "pred", "all"])
def test_confusion_matrix(seed: int, normalize: str | None) -> None:
    true, pred = predictions(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns if there is one class
        want = theirs.confusion_matrix(true, pred, normalize=normalize)
        some = np.unique(true)[::-1]
        want_some = theirs.confusion_matrix(true, pred, labels=some, normalize=normalize)
    np.testing.assert_allclose(ours.confusion_matrix(true, pred, normalize=normalize), want)
    got = ours.confusion_matrix(true, pred, labels=some, normalize=normalize)
    np.testing.assert_allclose(got, want_some)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("drop", [True, False])
def test_roc(seed: int, drop: bool) -> None:
    true, score = scored(seed)
    want = theirs.roc_curve(true, score, drop_intermediate=drop)
    for a, b in zip(ours.roc_curve(true, score, drop_intermediate=drop), want, strict=True):
        np.testing.assert_allclose(a, b)
    assert ours.roc_auc_score(true, score) == pytest.approx(theirs.roc_auc_score(true, score))
    area = theirs.auc(want[0], want[1])
    assert ours.roc_auc_score(true, score) == pytest.approx(area)


@pytest.mark.parametrize("seed", SEEDS)
def test_precision_recall_curve(seed: int) -> None:
    true, score = scored(seed)
    want = theirs.precision_recall_curve(true, score)
    for a, b in zip(ours.precision_recall_curve(true, score), want, strict=True):
        np.testing.assert_allclose(a, b)
    want_ap = theirs.average_precision_score(true, score)
    assert ours.average_precision_score(true, score) == pytest.approx(want_ap)


def forecasts(seed: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    prob = rng.dirichlet(np.full(k, 0.5), 50)
    true = rng.integers(0, k, 50)
    true[:k] = np.arange(k)
    return true, prob


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("k", [2, 3, 5])
def test_many_classes(seed: int, k: int) -> None:
    true, prob = forecasts(seed, k)
    assert ours.log_loss(true, prob) == pytest.approx(theirs.log_loss(true, prob))
    single = prob.astype(np.float32)
    assert ours.log_loss(true, single) == pytest.approx(theirs.log_loss(true, single), rel=1e-5)
    hot = np.eye(k)[true]
    if k > 2:
        want = theirs.roc_auc_score(true, prob, multi_class="ovr")
        assert ours.roc_auc_score(true, prob) == pytest.approx(want)
        want = ((prob - hot) ** 2).sum(axis=1).mean()
    else:
        want = theirs.brier_score_loss(true, prob[:, 1])
        assert ours.brier_score_loss(true, prob[:, 1]) == pytest.approx(want)
        assert ours.log_loss(true, prob[:, 1]) == pytest.approx(theirs.log_loss(true, prob[:, 1]))
    assert ours.brier_score_loss(true, prob) == pytest.approx(want)


def test_probabilities_of_0_and_1_cost_as_much_as_in_sklearn() -> None:
    true = np.array([0, 1, 1, 0])
    for dtype in (np.float64, np.float32):
        prob = np.array([0, 1, 0, 1], dtype)
        want = theirs.log_loss(true, prob)
        assert ours.log_loss(true, prob) == pytest.approx(want, rel=1e-3)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_reliability_is_the_calibration_curve(seed: int, strategy: str) -> None:
    true, prob = forecasts(seed, 2)
    p = np.round(prob[:, 1], 1) if seed % 2 else prob[:, 1]  # on the edges of bins, too
    want = calibration_curve(true, p, n_bins=5, strategy=strategy)
    got = ours.reliability(true, p, n_bins=5, strategy=strategy)
    np.testing.assert_allclose(got.prob_true, want[0])
    np.testing.assert_allclose(got.prob_pred, want[1])
    assert got.counts.sum() == 50 and (got.low <= got.prob_true).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_calibration_error_by_its_definition(seed: int) -> None:
    true, prob = forecasts(seed, 4)
    top, right = prob.max(axis=1), prob.argmax(axis=1) == true
    want = 0.0
    for i in range(15):
        inside = [j for j in range(50) if i / 15 < top[j] <= (i + 1) / 15]
        if inside:
            want += len(inside) / 50 * abs(np.mean(right[inside]) - np.mean(top[inside]))
    assert ours.expected_calibration_error(true, prob) == pytest.approx(want)


def test_the_tensor_of_the_engine_is_input_as_good_as_an_array() -> None:
    from lmbook import tensor

    true, prob = forecasts(0, 3)
    got: Any = ours.log_loss(tensor(true), tensor(prob))
    assert got == pytest.approx(ours.log_loss(true, prob))
