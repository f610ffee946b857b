"""What a model may be given, and what it says to the rest."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lmbook.backend import NonFiniteError, ShapeError
from lmbook.training import ensembles as E

X = np.random.default_rng(0).normal(size=(40, 3))
CLASSES, NUMBERS = (X[:, 0] > 0) * 1, X @ [1.0, 2.0, 3.0]

CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "tree": E.DecisionTreeClassifier,
    "bagging": lambda: E.BaggingClassifier(n_estimators=3),
    "forest": lambda: E.RandomForestClassifier(3),
    "adaboost": lambda: E.AdaBoostClassifier(n_estimators=3),
    "boosting": lambda: E.GradientBoostingClassifier(n_estimators=3),
    "stacking": lambda: E.StackingClassifier([("t", E.DecisionTreeClassifier(max_depth=2))]),
    "logistic": E.LogisticRegression,
}
REGRESSORS: dict[str, Callable[[], Any]] = {
    "tree": E.DecisionTreeRegressor,
    "bagging": lambda: E.BaggingRegressor(n_estimators=3),
    "forest": lambda: E.RandomForestRegressor(3),
    "boosting": lambda: E.GradientBoostingRegressor(n_estimators=3),
    "stacking": lambda: E.StackingRegressor([("t", E.DecisionTreeRegressor(max_depth=2))]),
    "ridge": E.Ridge,
}
ALL = [(make, CLASSES) for make in CLASSIFIERS.values()] + [
    (make, NUMBERS) for make in REGRESSORS.values()
]
NAMES = [f"{n}-classes" for n in CLASSIFIERS] + [f"{n}-numbers" for n in REGRESSORS]
every = pytest.mark.parametrize(("make", "y"), ALL, ids=NAMES)


@every
def test_fits_predicts_and_does_so_again(make: Any, y: np.ndarray) -> None:
    a, b = make().fit(X, y), make().fit(X.tolist(), y.tolist())
    assert a.predict(X).shape == (40,)
    np.testing.assert_array_equal(a.predict(X), b.predict(X))
    assert a.score(X, y) > (0.7 if y is CLASSES else 0.15)


@every
def test_wrong_inputs_are_refused(make: Any, y: np.ndarray) -> None:
    model = make()
    for call in ("predict",) + (("predict_proba",) if y is CLASSES else ()):
        with pytest.raises(E.NotFittedError, match=rf"{type(model).__name__}\.{call}: not fitted"):
            getattr(model, call)(X)
    hole = X.copy()
    hole[7, 1] = np.nan
    with pytest.raises(NonFiniteError, match=r"fit: X\[7, 1\] is nan; fill or drop"):
        model.fit(hole, y)
    with pytest.raises(ShapeError, match=r"X of shape \(0, 3\) is empty"):
        model.fit(X[:0], y[:0])
    with pytest.raises(ShapeError, match=r"not \(40,\); a single row is X\[None\]"):
        model.fit(X[:, 0], y)
    with pytest.raises(ShapeError, match=r"y has the shape \(39,\) for 40 rows"):
        model.fit(X, y[:-1])
    with pytest.raises(TypeError, match="X must hold numbers, not <U"):
        model.fit(X.astype(str), y)
    with pytest.raises(NonFiniteError, match=r"y\[3\] is nan"):
        model.fit(X, np.where(np.arange(40) == 3, np.nan, y))
    with pytest.raises(E.NotFittedError):
        model.predict(X)  # a failed fit leaves nothing
    model.fit(X, y)
    with pytest.raises(ShapeError, match="predict: X has 2 features, and fit saw 3"):
        model.predict(X[:, :2])
    with pytest.raises(NonFiniteError, match=r"predict: X\[7, 1\]"):
        model.predict(hole)


@pytest.mark.parametrize("name", ["tree", "bagging", "forest"])
def test_with_one_class_it_is_certain_of_it(name: str) -> None:
    model = CLASSIFIERS[name]().fit(X, np.full(40, "only"))
    assert (model.predict(X) == "only").all() and (model.predict_proba(X) == 1).all()


@pytest.mark.parametrize("name", ["adaboost", "boosting", "stacking", "logistic"])
def test_one_class_is_refused_where_there_would_be_nothing_to_learn(name: str) -> None:
    with pytest.raises(ValueError, match=r"one class only, .*nothing to tell apart"):
        CLASSIFIERS[name]().fit(X, np.zeros(40, int))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_numbers_are_no_classes(name: str) -> None:
    with pytest.raises(ValueError, match="no class; is this a regression"):
        CLASSIFIERS[name]().fit(X, NUMBERS)


@pytest.mark.parametrize("name", [n for n in CLASSIFIERS if n not in ("bagging", "stacking")])
def test_weights_are_checked(name: str) -> None:
    fit = CLASSIFIERS[name]().fit
    with pytest.raises(ShapeError, match=r"sample_weight has the shape \(3,\) for 40 rows"):
        fit(X, CLASSES, np.ones(3))
    for bad in (np.zeros(40), -np.ones(40), np.full(40, np.nan)):
        with pytest.raises(ValueError, match="finite, not negative, and not all zero"):
            fit(X, CLASSES, bad)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"criterion": "mse"}, "criterion is one of"),
        ({"max_depth": 0}, "max_depth must be 1 or more, not 0"),
        ({"min_samples_split": 1}, "min_samples_split must be 2 or more"),
        ({"min_samples_leaf": 0}, "min_samples_leaf must be 1 or more"),
        ({"min_impurity_decrease": -1}, "min_impurity_decrease must be 0 or more"),
        ({"ccp_alpha": -0.1}, "ccp_alpha must be 0 or more"),
        ({"max_features": 4}, "a number from 1 to 3 or a share, not 4"),
        ({"max_features": 1.5}, "not 1.5"),
        ({"max_features": "all"}, "not 'all'"),
    ],
)
def test_settings_of_trees_are_checked(settings: dict, says: str) -> None:
    for make, y in ((E.DecisionTreeClassifier, CLASSES), (E.DecisionTreeRegressor, NUMBERS)):
        with pytest.raises(ValueError, match=says):
            make(**settings).fit(X, y)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (E.BaggingClassifier(n_estimators=0), "n_estimators must be 1 or more"),
        (E.BaggingClassifier(max_samples=41), "max_samples = 41 of 40 rows"),
        (E.BaggingClassifier(max_samples=0.0), "max_samples = 0.0"),
        (E.BaggingClassifier(bootstrap=False, oob_score=True), "every row was in every sample"),
        (E.RandomForestClassifier(0), "n_estimators must be 1 or more"),
        (E.RandomForestClassifier(3, bootstrap=False, oob_score=True), "needs bootstrap=True"),
        (E.AdaBoostClassifier(n_estimators=0), "n_estimators must be 1 or more"),
        (E.AdaBoostClassifier(learning_rate=0), "learning_rate must be above 0"),
        (E.GradientBoostingClassifier(loss="exponential"), 'loss is "log_loss"'),
        (E.GradientBoostingClassifier(n_estimators=0), "n_estimators must be 1 or more"),
        (E.GradientBoostingClassifier(learning_rate=-1), "learning_rate must be above 0"),
        (E.GradientBoostingClassifier(subsample=0.0), "subsample is a share above 0"),
        (E.GradientBoostingClassifier(n_iter_no_change=0), "n_iter_no_change must be 1 or more"),
        (
            E.GradientBoostingClassifier(n_iter_no_change=2, validation_fraction=1.0),
            "validation_fraction is a share between 0 and 1",
        ),
        (E.StackingClassifier([]), "pairs \\(name, model\\) with different names"),
        (E.LogisticRegression(C=0), "C must be above 0"),
        (E.LogisticRegression(max_iter=0), "max_iter must be 1 or more"),
        (E.Ridge(alpha=-1), "alpha must be 0 or more"),
    ],
    ids=lambda v: v if isinstance(v, str) else repr(v),
)
def test_settings_of_ensembles_are_checked(model: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        model.fit(X, CLASSES)


def test_settings_of_the_regression_losses_and_scores() -> None:
    with pytest.raises(ValueError, match='loss is "squared_error"'):
        E.GradientBoostingRegressor(loss="huber").fit(X, NUMBERS)
    with pytest.raises(ValueError, match=r"R\^2 is not defined"):
        E.Ridge().fit(X, NUMBERS).score(X, np.ones(40))
    with pytest.raises(ValueError, match=r"out of bag, so R\^2 is not defined"):
        E.BaggingRegressor(oob_score=True).fit(X, np.ones(40))
    with pytest.raises(ArithmeticError, match="no end after 1 Newton steps"):
        E.LogisticRegression(max_iter=1).fit(100 * X, CLASSES)


def test_a_fresh_model_has_the_settings_and_nothing_that_was_learnt() -> None:
    model = E.DecisionTreeClassifier(max_depth=2).fit(X, CLASSES)
    copy = E.clone(model)
    assert copy.get_params() == model.get_params() and not hasattr(copy, "tree_")
