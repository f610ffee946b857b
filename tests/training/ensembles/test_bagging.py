"""Bagging and forests: what is out of a bag, what averaging brings, what importance says."""

import numpy as np
import pytest
from sklearn import ensemble as theirs
from sklearn import linear_model
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.inspection import permutation_importance as their_importance

from lmbook.training.ensembles import (
    BaggingClassifier,
    BaggingRegressor,
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    LogisticRegression,
    RandomForestClassifier,
    RandomForestRegressor,
    permutation_importance,
    variance_of_mean,
)
from lmbook.training.ensembles.bagging import OutOfBag

X, Y = load_breast_cancer(return_X_y=True)
XR, YR = load_diabetes(return_X_y=True)


def test_bagging_is_the_mean_of_its_members() -> None:
    model = BaggingClassifier(n_estimators=4, random_state=3).fit(X, Y)
    by_hand = []
    for member, rows in zip(model.estimators_, model.estimators_samples_, strict=True):
        again = DecisionTreeClassifier(random_state=member.random_state).fit(X[rows], Y[rows])
        by_hand.append(again.predict_proba(X))
    np.testing.assert_allclose(model.predict_proba(X), np.mean(by_hand, axis=0))
    assert len({tuple(rows) for rows in model.estimators_samples_}) == 4


def test_out_of_bag_uses_unseen_members_only() -> None:
    model = BaggingClassifier(n_estimators=12, oob_score=True, random_state=1).fit(X, Y)
    for row in range(0, len(X), 37):
        unseen = [
            member.predict_proba(X[row][None])[0]
            for member, rows in zip(model.estimators_, model.estimators_samples_, strict=True)
            if row not in rows
        ]
        expected = np.mean(unseen, axis=0) if unseen else [np.nan, np.nan]
        np.testing.assert_allclose(model.oob_decision_function_[row], expected)
    assert np.isnan(model.oob_decision_function_).any() == any(
        all(row in rows for rows in model.estimators_samples_) for row in range(len(X))
    )


def test_rows_that_all_have_seen_are_left_out_of_the_score() -> None:
    oob = OutOfBag(4, 2)
    oob.add(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 2]))
    oob.add(np.array([[0.0, 1.0]]), np.array([2]))
    mean = oob.mean("test")
    np.testing.assert_array_equal(np.isnan(mean[:, 0]), [False, True, False, True])
    np.testing.assert_array_equal(mean[2], [0.0, 1.0])
    two = BaggingRegressor(n_estimators=2, oob_score=True).fit(XR, YR)
    assert 0.3 < np.isnan(two.oob_prediction_).mean() < 0.5  # 0.632^2 = 0.40 seen by both
    assert np.isfinite(two.oob_score_)


def test_out_of_bag_score_agrees_with_new_rows() -> None:
    rng = np.random.default_rng(0)
    new = rng.permutation(len(X))[:200]
    old = np.setdiff1d(np.arange(len(X)), new)
    model = RandomForestClassifier(60, oob_score=True).fit(X[old], Y[old])
    assert abs(model.oob_score_ - model.score(X[new], Y[new])) < 0.03
    assert model.score(X[old], Y[old]) == 1.0  # the rows it knows say nothing
    regression = RandomForestRegressor(60, oob_score=True, min_samples_leaf=3).fit(XR, YR)
    other = theirs.RandomForestRegressor(60, oob_score=True, min_samples_leaf=3, random_state=0)
    assert abs(regression.oob_score_ - other.fit(XR, YR).oob_score_) < 0.05
    assert regression.score(XR, YR) > regression.oob_score_ + 0.2


def test_bagging_takes_any_model_and_a_class_that_a_sample_lacks() -> None:
    y = np.array(["a"] * 30 + ["b"] * 30 + ["rare"])
    Z = np.random.default_rng(0).normal(size=(61, 2)) + np.repeat(
        [[0, 0], [3, 0]], [30, 31], axis=0
    )
    for estimator in (LogisticRegression(), linear_model.LogisticRegression()):
        model = BaggingClassifier(estimator, 8, oob_score=True, random_state=0).fit(Z, y)
        lacking = [len(m.classes_) < 3 for m in model.estimators_]
        assert any(lacking) and not all(lacking)
        p = model.predict_proba(Z)
        assert p.shape == (61, 3)
        np.testing.assert_allclose(p.sum(axis=1), 1)
    forest = RandomForestClassifier(8, random_state=0).fit(Z, y)
    assert forest.predict_proba(Z).shape == (61, 3)
    np.testing.assert_allclose(forest.predict_proba(Z).sum(axis=1), 1)


def test_a_sample_of_one_class_is_drawn_again() -> None:
    y = np.array([0] * 30 + [1])
    Z = np.arange(31.0)[:, None]
    model = BaggingClassifier(LogisticRegression(), 6).fit(Z, y)  # refuses a single class
    assert all(30 in rows and len(set(y[rows])) == 2 for rows in model.estimators_samples_)
    with pytest.raises(ValueError, match="1000 samples of 1 rows held one class each"):
        BaggingClassifier(n_estimators=2, max_samples=1).fit(Z, y)


def test_samples_without_replacement_and_of_other_sizes() -> None:
    model = BaggingClassifier(n_estimators=3, bootstrap=False, max_samples=0.5).fit(X, Y)
    for rows in model.estimators_samples_:
        assert len(np.unique(rows)) == len(rows) == len(X) // 2
    assert [
        len(r)
        for r in BaggingClassifier(max_samples=7, n_estimators=2).fit(X, Y).estimators_samples_
    ] == [7, 7]


def test_a_forest_without_chance_is_its_tree() -> None:
    forest = RandomForestClassifier(3, bootstrap=False, max_features=None, max_depth=3).fit(X, Y)
    tree = DecisionTreeClassifier(max_depth=3).fit(X, Y)
    np.testing.assert_allclose(forest.predict_proba(X), tree.predict_proba(X))
    np.testing.assert_allclose(forest.feature_importances_, tree.feature_importances_)
    numbers = RandomForestRegressor(2, bootstrap=False, max_depth=3).fit(XR, YR)
    np.testing.assert_allclose(
        numbers.predict(XR), DecisionTreeRegressor(max_depth=3).fit(XR, YR).predict(XR)
    )


def test_forest_weights_of_zero_take_rows_out() -> None:
    w = (np.arange(len(X)) % 2) * 1.0
    model = RandomForestClassifier(10, random_state=0).fit(X, np.where(w > 0, Y, 1 - Y), w)
    assert model.score(X, Y) > 0.93
    lone = (np.arange(len(X)) == 5) * 1.0
    assert (RandomForestClassifier(3).fit(X, Y, lone).predict(X) == Y[5]).all()


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.8, 1.0, -0.1])
def test_variance_of_a_mean_as_measured(rho: float) -> None:
    n = 8
    covariance = 4 * (rho * np.ones((n, n)) + (1 - rho) * np.eye(n))
    assert variance_of_mean(4, rho, n) == pytest.approx(covariance.sum() / n**2)
    if rho >= 0:
        rng = np.random.default_rng(0)
        common, own = rng.normal(size=(40_000, 1)), rng.normal(size=(40_000, n))
        drawn = 2 * (np.sqrt(rho) * common + np.sqrt(1 - rho) * own)
        assert drawn.mean(axis=1).var() == pytest.approx(variance_of_mean(4, rho, n), rel=0.05)
    with pytest.raises(ValueError, match=r"8 variables cannot all correlate by -0\.5"):
        variance_of_mean(4, -0.5, 8)


def test_drawing_features_makes_the_trees_less_alike() -> None:
    rng = np.random.default_rng(0)
    new = rng.permutation(len(XR))[:150]
    old = np.setdiff1d(np.arange(len(XR)), new)

    def correlation(max_features: int) -> float:
        forest = RandomForestRegressor(60, max_features=max_features).fit(XR[old], YR[old])
        errors = np.array([t.predict(XR[new]) - YR[new] for t in forest.estimators_])
        return float(np.corrcoef(errors)[np.triu_indices(60, 1)].mean())

    assert correlation(2) < correlation(10) - 0.03


def test_impurity_importance_believes_noise_and_permutation_importance_does_not() -> None:
    rng = np.random.default_rng(0)
    binary, noise = rng.integers(0, 2, 1000), rng.normal(size=1000)
    y = np.where(rng.random(1000) < 0.7, binary, 1 - binary)
    Z = np.stack([binary, noise], axis=1)
    forest = RandomForestClassifier(30, min_samples_leaf=5).fit(Z[:500], y[:500])
    assert forest.feature_importances_[1] > 0.5
    held = permutation_importance(forest, Z[500:], y[500:], n_repeats=10)
    assert held.importances.shape == (2, 10)
    assert held.importances_mean[0] > 0.1
    assert abs(held.importances_mean[1]) < 2 * held.importances_std[1] + 0.03
    assert held.importances_mean[0] > 2 * held.importances_mean[1]


def test_permutation_importance_measures_what_scikit_learns_does() -> None:
    model = linear_model.LinearRegression().fit(XR, YR)
    ours = permutation_importance(model, XR, YR, n_repeats=40)
    other = their_importance(model, XR, YR, n_repeats=40, random_state=0)
    np.testing.assert_allclose(ours.importances_mean, other.importances_mean, atol=0.04)
    np.testing.assert_allclose(ours.importances_std, other.importances_std, atol=0.03)
    unused = permutation_importance(
        model, XR, YR, scoring=lambda m, X, y: -abs(X[0, 0]), n_repeats=3
    )
    assert (unused.importances[1:] == 0).all() and (unused.importances[0] != 0).any()
    with pytest.raises(ValueError, match="n_repeats must be 1 or more"):
        permutation_importance(model, XR, YR, n_repeats=0)
