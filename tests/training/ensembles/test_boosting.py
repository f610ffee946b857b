"""AdaBoost and gradient boosting against scikit-learn's, and what ends them."""

from typing import Any

import numpy as np
import pytest
from sklearn import ensemble as theirs
from sklearn.datasets import load_breast_cancer

from lmbook.backend import current, use
from lmbook.training.ensembles import (
    AdaBoostClassifier,
    DecisionTreeClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
)
from lmbook.training.ensembles.boosting import _put_aside, _stalled
from tests.training.ensembles.test_trees import numbers

WEAK: list[dict[str, Any]] = [{}, {"learning_rate": 0.4, "n_estimators": 25}]


@pytest.mark.parametrize("settings", WEAK, ids=str)
@pytest.mark.parametrize("target", ["two", "three"])
def test_adaboost_as_scikit_learn(settings: dict, target: str) -> None:
    d = numbers(0)
    names = np.array(["no", "perhaps", "yes"])[d[target]]
    ours = AdaBoostClassifier(**settings).fit(d["X"], names, d["w"])
    other = theirs.AdaBoostClassifier(random_state=0, **settings).fit(d["X"], names, d["w"])
    for call in ("decision_function", "predict_proba"):
        a, b = getattr(ours, call)(d["new"]), getattr(other, call)(d["new"])
        np.testing.assert_allclose(a, b, atol=1e-10)
    rounds = len(ours.estimators_)
    assert rounds == len(other.estimators_) > 5
    np.testing.assert_allclose(ours.estimator_weights_, other.estimator_weights_[:rounds])
    np.testing.assert_allclose(ours.estimator_errors_, other.estimator_errors_[:rounds])
    staged = list(ours.staged_predict(d["new"]))
    assert all((a == b).all() for a, b in zip(staged, other.staged_predict(d["new"]), strict=True))
    assert (ours.predict(d["new"]) == staged[-1]).all()


def test_adaboost_as_scikit_learn_on_breast_cancer() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X = X.astype(np.float32).astype(float)
    ours = AdaBoostClassifier().fit(X[:400], y[:400])
    other = theirs.AdaBoostClassifier(random_state=0).fit(X[:400], y[:400])
    np.testing.assert_allclose(
        ours.decision_function(X[400:]), other.decision_function(X[400:]), atol=1e-10
    )


def test_one_round_of_adaboost_makes_right_and_wrong_weigh_the_same() -> None:
    d = numbers(1)
    model = AdaBoostClassifier(n_estimators=1).fit(d["X"], d["two"])
    wrong = model.predict(d["X"]) != d["two"]
    assert model.weights_[wrong].sum() == pytest.approx(0.5)
    assert model.weights_.sum() == pytest.approx(1)


def test_adaboost_stops_when_nothing_is_wrong_or_nothing_is_learnt() -> None:
    X = np.arange(10.0)[:, None]
    perfect = AdaBoostClassifier().fit(X, X[:, 0] > 4)
    assert len(perfect.estimators_) == 1 and perfect.estimator_weights_.tolist() == [1.0]
    with pytest.raises(ValueError, match=r"first learner errs on 0\.5 of the weight, no better"):
        AdaBoostClassifier().fit(np.ones((10, 1)), np.arange(10) % 2)
    xor = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
    two = AdaBoostClassifier(DecisionTreeClassifier(max_depth=2)).fit(xor, [0, 1, 1, 0])
    assert two.score(xor, [0, 1, 1, 0]) == 1


SLOW: list[dict[str, Any]] = [
    {"min_samples_leaf": 10, "n_estimators": 30},
    {"max_depth": 2, "min_samples_leaf": 5, "learning_rate": 0.3, "n_estimators": 30},
]


@pytest.mark.parametrize("settings", SLOW, ids=str)
@pytest.mark.parametrize("target", ["two", "three"])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_gradient_boosting_of_classes_as_scikit_learn(
    settings: dict, target: str, backend: str
) -> None:
    d, before = numbers(0), current()
    use(backend)
    try:
        ours = GradientBoostingClassifier(**settings).fit(d["X"], d[target], d["w"])
    finally:
        use(before)
    other = theirs.GradientBoostingClassifier(random_state=0, **settings).fit(
        d["X"], d[target], d["w"]
    )
    np.testing.assert_allclose(
        ours.predict_proba(d["new"]), other.predict_proba(d["new"]), atol=1e-9
    )
    np.testing.assert_allclose(ours.feature_importances_, other.feature_importances_, atol=1e-9)
    half = 0.5 if target == "two" else 1.0  # scikit-learn doubles the loss of two classes
    np.testing.assert_allclose(ours.train_score_, half * other.train_score_)
    a, b = ours.decision_function(d["new"]), other.decision_function(d["new"])
    if target == "three":  # softmax does not see a constant
        a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(a, b, atol=1e-9)
    staged = zip(ours.staged_predict(d["new"]), other.staged_predict(d["new"]), strict=True)
    assert all((x == y).all() for x, y in staged)


@pytest.mark.parametrize("settings", SLOW, ids=str)
def test_gradient_boosting_of_numbers_as_scikit_learn(settings: dict) -> None:
    d = numbers(2)
    ours = GradientBoostingRegressor(**settings).fit(d["X"], d["y"], d["w"])
    other = theirs.GradientBoostingRegressor(random_state=0, **settings).fit(d["X"], d["y"], d["w"])
    for a, b in zip(ours.staged_predict(d["new"]), other.staged_predict(d["new"]), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)
    np.testing.assert_allclose(ours.predict(d["new"]), other.predict(d["new"]), atol=1e-9)
    np.testing.assert_allclose(ours.train_score_, other.train_score_)


def test_each_tree_is_fitted_to_the_residual() -> None:
    d = numbers(3)
    model = GradientBoostingRegressor(learning_rate=1.0, n_estimators=3).fit(d["X"], d["y"])
    left = d["y"] - d["y"].mean()
    for (member,) in model.estimators_:
        leaf = member.apply(d["X"])
        for node in np.unique(leaf):
            value = member.tree_.value[node, 0]
            assert value == pytest.approx(left[leaf == node].mean(), abs=1e-12)
        left = left - member.predict(d["X"])
    np.testing.assert_allclose(model.predict(d["X"]), d["y"] - left)


def test_subsample_leaves_rows_out_and_stays_near_scikit_learn() -> None:
    d = numbers(4)
    settings: dict[str, Any] = {"subsample": 0.5, "max_features": 2, "n_estimators": 60}
    new_y = d["new"][:, 0] + np.sin(2 * d["new"][:, 1]) * d["new"][:, 2]
    ours = [
        GradientBoostingRegressor(random_state=s, **settings).fit(d["X"], d["y"]) for s in range(4)
    ]
    others = [
        theirs.GradientBoostingRegressor(random_state=s, **settings).fit(d["X"], d["y"])
        for s in range(4)
    ]
    assert ours[0].estimators_[0][0].tree_.n_node_samples[0] == 150
    a, b = (np.mean([m.score(d["new"], new_y) for m in group]) for group in (ours, others))
    assert abs(a - b) < 0.05
    assert (ours[0].predict(d["new"]) != ours[1].predict(d["new"])).any()


def test_early_stopping_ends_before_it_gets_worse() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    y = (X[:, 0] + rng.normal(size=300) > 0) * 1
    settings: dict[str, Any] = {
        "n_iter_no_change": 5,
        "validation_fraction": 0.2,
        "learning_rate": 0.3,
    }
    model = GradientBoostingClassifier(n_estimators=200, **settings).fit(X, y)
    assert 5 < model.n_estimators_ < 60 == 60
    held = np.array(model.validation_score_)
    assert len(held) == model.n_estimators_
    assert held[-1] + model.tol >= held[-6:-1].max()
    assert all(not held[i] + model.tol >= held[i - 5 : i].max() for i in range(5, len(held) - 1))
    assert model.estimators_[0][0].tree_.n_node_samples[0] == 240
    numbers_ = GradientBoostingRegressor(n_estimators=200, **settings).fit(
        X, X[:, 0] + rng.normal(size=300)
    )
    assert numbers_.n_estimators_ < 200


def test_when_a_loss_has_stalled() -> None:
    assert not _stalled([3.0, 2.0, 1.0], 2, 0.0)
    assert _stalled([1.0, 1.0, 1.0], 2, 0.0)
    assert not _stalled([1.0, 1.0], 2, 0.0)
    assert _stalled([1.0, 0.95, 0.93], 2, 0.1)


def test_rows_put_aside_come_from_every_class() -> None:
    groups = np.repeat([0, 1, 2], [50, 30, 3])
    held = _put_aside(np.random.default_rng(0), groups, 0.2, "Model")
    assert np.bincount(groups[held]).tolist() == [10, 6, 1]
    assert len(np.unique(held)) == len(held)
    with pytest.raises(ValueError, match="one class has a single row"):
        GradientBoostingClassifier(n_iter_no_change=2).fit(np.arange(5.0)[:, None], [0, 0, 0, 0, 1])


def test_a_class_of_weight_zero_is_refused() -> None:
    X = np.arange(6.0)[:, None]
    with pytest.raises(ValueError, match="class 2 has no row of positive weight"):
        GradientBoostingClassifier().fit(X, [0, 0, 1, 1, 2, 2], [1, 1, 1, 1, 0, 0])


def test_boosting_goes_on_when_all_is_certain() -> None:
    X = np.arange(20.0)[:, None]
    model = GradientBoostingClassifier(n_estimators=400, learning_rate=1.0).fit(X, X[:, 0] > 9)
    p = model.predict_proba(X)
    assert np.isfinite(p).all() and model.score(X, X[:, 0] > 9) == 1
