"""Stacking: answers out of fold, and none that know the row."""

import numpy as np
import pytest
from sklearn import ensemble as theirs
from sklearn import linear_model, model_selection
from sklearn import tree as their_trees
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from lmbook.training.ensembles import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    LogisticRegression,
    Ridge,
    StackingClassifier,
    StackingRegressor,
    k_folds,
)
from lmbook.training.ensembles.stacking import checked_folds
from tests.training.ensembles.test_trees import numbers


def test_out_of_fold_answers_come_from_models_that_did_not_see_the_row() -> None:
    d = numbers(0)
    folds = k_folds(300, 4, np.random.default_rng(0))
    base = DecisionTreeClassifier(max_depth=3)
    model = StackingClassifier([("a", base), ("b", LogisticRegression())], folds=folds)
    model.fit(d["X"], d["two"])
    for train, test in folds:
        for column, kind in enumerate((base, LogisticRegression())):
            alone = type(kind)(**kind.get_params()).fit(d["X"][train], d["two"][train])
            expected = alone.predict_proba(d["X"][test])[:, 1]
            np.testing.assert_allclose(model.meta_features_[test, column], expected)
    whole = DecisionTreeClassifier(max_depth=3).fit(d["X"], d["two"])
    np.testing.assert_allclose(model.transform(d["new"])[:, 0], whole.predict_proba(d["new"])[:, 1])
    assert list(model.named_estimators_) == ["a", "b"]


@pytest.mark.parametrize("passthrough", [False, True])
def test_classifier_as_scikit_learn(passthrough: bool) -> None:
    for load in (load_breast_cancer, load_wine):
        X, y = load(return_X_y=True)
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        folds = list(model_selection.StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))
        # the same models below on both sides: what is compared is the stacking
        below = [
            ("tree", their_trees.DecisionTreeClassifier(max_depth=3, random_state=0)),
            ("bayes", linear_model.LogisticRegression(C=0.01)),
        ]
        ours = StackingClassifier(below, folds=folds, passthrough=passthrough)
        for _, model in below:
            model.set_params(**({"random_state": 0} if "max_depth" in model.get_params() else {}))
        ours.random_state = 0
        ours.fit(X, y)
        seeds = {n: m.get_params()["random_state"] for n, m in ours.named_estimators_.items()}
        for name, model in below:
            model.set_params(random_state=seeds[name])
        other = theirs.StackingClassifier(
            below,
            linear_model.LogisticRegression(tol=1e-9, max_iter=5000),
            cv=folds,
            passthrough=passthrough,
        )
        other.fit(X, y)
        np.testing.assert_allclose(ours.predict_proba(X), other.predict_proba(X), atol=1e-4)


def test_regressor_as_scikit_learn() -> None:
    X, y = load_diabetes(return_X_y=True)
    folds = list(model_selection.KFold(5).split(X))
    below = [("ridge", linear_model.Ridge(0.1)), ("lasso", linear_model.Lasso(0.1))]
    ours = StackingRegressor(below, Ridge(1.0), folds=folds).fit(X, y)
    seed = ours.named_estimators_["lasso"].random_state
    below[1][1].set_params(random_state=seed)
    other = theirs.StackingRegressor(below, linear_model.Ridge(1.0), cv=folds).fit(X, y)
    np.testing.assert_allclose(ours.predict(X), other.predict(X), atol=1e-6)
    assert ours.score(X, y) == pytest.approx(other.score(X, y))


def test_in_sample_answers_would_trust_the_tree_that_knows_its_rows_by_heart() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    y = (X[:, 0] + rng.normal(size=300) > 0) * 1
    stack = StackingClassifier(
        [("tree", DecisionTreeClassifier()), ("line", LogisticRegression())]
    ).fit(X, y)
    leaking = LogisticRegression().fit(stack.transform(X), y)  # the fitted models on their own rows
    new = rng.normal(size=(4000, 5))
    new_y = (new[:, 0] + rng.normal(size=4000) > 0) * 1
    assert leaking.coef_[0, 0] > 3 * abs(leaking.coef_[0, 1])
    assert stack.final_estimator_.coef_[0, 1] > 2 * stack.final_estimator_.coef_[0, 0]
    assert stack.score(new, new_y) > leaking.score(stack.transform(new), new_y) + 0.05


def test_a_class_that_a_fold_has_not_trained_on_has_probability_zero() -> None:
    X = np.arange(30.0)[:, None]
    y = np.repeat([0, 1, 2], 10)
    folds = [(np.setdiff1d(np.arange(30), t), t) for t in np.split(np.arange(30), 3)]
    model = StackingClassifier([("tree", DecisionTreeClassifier())], folds=folds).fit(X, y)
    np.testing.assert_array_equal(np.diag(model.meta_features_[[0, 10, 20]]), 0)
    np.testing.assert_allclose(model.meta_features_.sum(axis=1), 1)
    assert model.predict_proba(X).shape == (30, 3)


def test_own_folds_part_the_rows_and_share_out_the_classes() -> None:
    y = np.repeat([0, 1], [40, 10])
    folds = k_folds(50, 5, np.random.default_rng(0), y)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(50))
    for train, test in folds:
        assert not len(np.intersect1d(train, test)) and len(train) == 40
        assert np.bincount(y[test]).tolist() == [8, 2]
    with pytest.raises(ValueError, match="1 folds of 50 rows"):
        k_folds(50, 1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="51 folds of 50 rows"):
        k_folds(50, 51, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("folds", "says"),
    [
        ([([0, 1, 2], [2, 3])], "row 2 is in train and test of fold 0"),
        ([([0, 1], [2, 3])], "row 0 is in the test of 0 folds"),
        ([([0], [1, 2, 3]), ([1, 2], [0, 3])], "row 3 is in the test of 2 folds"),
        ([([0, 1], [2, 4])], "test of fold 0 must hold row numbers from 0 to 3"),
        ([([], [0, 1, 2, 3])], "train of fold 0 must hold"),
        ([([True, False], [2, 3])], "train of fold 0 must hold"),
    ],
)
def test_folds_that_leak_or_miss_are_refused(folds: list, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        checked_folds("test", folds, 4)
    with pytest.raises(ValueError, match=says):
        StackingRegressor([("r", Ridge())], folds=folds).fit(np.eye(4), np.arange(4.0))


def test_names_must_differ() -> None:
    with pytest.raises(ValueError, match=r"different names, not \['a', 'a'\]"):
        StackingRegressor([("a", Ridge()), ("a", DecisionTreeRegressor())]).fit(
            np.eye(4), np.arange(4.0)
        )


@pytest.mark.parametrize("target", ["two", "three"])
@pytest.mark.parametrize("C", [0.1, 1.0, 100.0])
def test_logistic_regression_as_scikit_learn(target: str, C: float) -> None:
    d = numbers(0)
    ours = LogisticRegression(C).fit(d["X"], d[target], d["w"])
    other = linear_model.LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(
        d["X"], d[target], d["w"]
    )
    np.testing.assert_allclose(ours.coef_, other.coef_, atol=1e-4)
    np.testing.assert_allclose(
        ours.predict_proba(d["new"]), other.predict_proba(d["new"]), atol=1e-5
    )
    a, b = ours.decision_function(d["new"]), other.decision_function(d["new"])
    if target == "three":
        a, b = (z - z.mean(axis=1, keepdims=True) for z in (a, b))
    np.testing.assert_allclose(a, b, atol=1e-3)


def test_logistic_regression_of_classes_that_a_line_parts() -> None:
    X = np.array([[-1.0], [-0.5], [0.5], [1.0]])
    model = LogisticRegression(1e6).fit(X, [0, 0, 1, 1])
    assert model.score(X, [0, 0, 1, 1]) == 1 and np.isfinite(model.coef_).all()


def test_ridge_as_scikit_learn() -> None:
    d = numbers(1)
    for alpha in (0.0, 1.0, 50.0):
        ours = Ridge(alpha).fit(d["X"], d["y"], d["w"])
        other = linear_model.Ridge(alpha).fit(d["X"], d["y"], d["w"])
        np.testing.assert_allclose(ours.predict(d["new"]), other.predict(d["new"]), atol=1e-9)
