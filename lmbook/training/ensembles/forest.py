"""Random forests: bagged trees that see only a few features at each node."""

from typing import Any, Self

import numpy as np

from lmbook.training.ensembles.bagging import OutOfBag, bootstrap, oob_accuracy, oob_r2
from lmbook.training.ensembles.estimator import (
    Classifier,
    Estimator,
    Regressor,
    Seed,
    at_least,
    draw_seed,
    generator,
)
from lmbook.training.ensembles.growing import Columns
from lmbook.training.ensembles.tree import DecisionTreeClassifier, DecisionTreeRegressor


class RandomForest(Estimator):
    """`n_estimators` trees, each on a bootstrap sample, with `max_features` drawn at each node.

    Drawing features makes the trees less alike, which lowers the part of the variance that no number of
    trees removes. A sample is given to a tree as weights, how often each row was drawn; so
    `min_samples_leaf` counts different rows, as in scikit-learn. The other settings are those of the trees
    (tree.py) and of bagging (bagging.py). Source: Breiman 2001.
    """

    estimators_: list[Any]

    def __init__(
        self,
        n_estimators: int = 100,
        *,
        criterion: str,
        max_depth: int | None = None,
        min_samples_split: int = 2,
        min_samples_leaf: int = 1,
        max_features: int | float | str | None,
        bootstrap: bool = True,
        oob_score: bool = False,
        random_state: Seed = 0,
    ) -> None:
        self.n_estimators, self.criterion, self.max_depth = n_estimators, criterion, max_depth
        self.min_samples_split, self.min_samples_leaf = min_samples_split, min_samples_leaf
        self.max_features, self.bootstrap = max_features, bootstrap
        self.oob_score, self.random_state = oob_score, random_state

    def _fit(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray, tree: type) -> OutOfBag:
        name = type(self).__name__
        at_least(name, 1, n_estimators=self.n_estimators)
        if self.oob_score and not self.bootstrap:
            raise ValueError(
                f"{name}: oob_score=True needs bootstrap=True; without it no row is out of a bag"
            )
        rng, columns, n = generator(self.random_state), Columns(X), len(X)
        oob, self.estimators_ = OutOfBag(n, targets.shape[1]), []
        settings = (
            "criterion",
            "max_depth",
            "min_samples_split",
            "min_samples_leaf",
            "max_features",
        )
        while len(self.estimators_) < self.n_estimators:
            drawn = (
                np.bincount(bootstrap(rng, n), minlength=n) if self.bootstrap else np.ones(n, int)
            )
            if not (drawn * weights).any():
                continue  # all rows drawn have weight 0
            member = tree(**{s: getattr(self, s) for s in settings}, random_state=draw_seed(rng))
            member.grow(columns, targets, drawn * weights)
            self.estimators_.append(member)
            if self.oob_score and (out := np.flatnonzero(drawn == 0)).size:
                oob.add(member.tree_.value[member.tree_.apply(X[out])], out)
        return oob

    def _mean(self, X: np.ndarray) -> np.ndarray:
        return np.mean([m.tree_.value[m.tree_.apply(X)] for m in self.estimators_], axis=0)

    @property
    def feature_importances_(self) -> np.ndarray:
        """Mean over the trees of each feature's share of the fall in impurity, (D,).

        Measured on the rows the trees were grown on: it favours features of many values, noise too.
        `permutation_importance` on other rows does not.
        """
        self._fitted("feature_importances_")
        mean = np.mean([m.feature_importances_ for m in self.estimators_], axis=0)
        return mean / mean.sum() if mean.sum() > 0 else mean


class RandomForestClassifier(RandomForest, Classifier):
    """A forest for classes: the mean of the trees' class shares."""

    def __init__(
        self,
        n_estimators: int = 100,
        *,
        criterion: str = "gini",
        max_depth: int | None = None,
        min_samples_split: int = 2,
        min_samples_leaf: int = 1,
        max_features: int | float | str | None = "sqrt",
        bootstrap: bool = True,
        oob_score: bool = False,
        random_state: Seed = 0,
    ) -> None:
        super().__init__(
            n_estimators, criterion=criterion, max_depth=max_depth,
            min_samples_split=min_samples_split, min_samples_leaf=min_samples_leaf,
            max_features=max_features, bootstrap=bootstrap, oob_score=oob_score,
            random_state=random_state,
        )  # fmt: skip

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Grow the trees on X (N, D) and classes y (N,)."""
        X, y, weights = self._training(X, y, sample_weight)
        codes = self._classes(y)
        targets = np.eye(len(self.classes_))[codes]
        oob = self._fit(X, targets, weights, DecisionTreeClassifier)
        for member in self.estimators_:
            member.classes_ = self.classes_
        if self.oob_score:
            self.oob_decision_function_, self.oob_score_ = oob_accuracy(
                oob, codes, type(self).__name__
            )
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Mean of the trees' class shares, (N, K)."""
        return self._mean(self._inputs(X, "predict_proba"))


class RandomForestRegressor(RandomForest, Regressor):
    """A forest for numbers: the mean of the trees' means. By default a tree sees all features."""

    def __init__(
        self,
        n_estimators: int = 100,
        *,
        criterion: str = "squared_error",
        max_depth: int | None = None,
        min_samples_split: int = 2,
        min_samples_leaf: int = 1,
        max_features: int | float | str | None = 1.0,
        bootstrap: bool = True,
        oob_score: bool = False,
        random_state: Seed = 0,
    ) -> None:
        super().__init__(
            n_estimators, criterion=criterion, max_depth=max_depth,
            min_samples_split=min_samples_split, min_samples_leaf=min_samples_leaf,
            max_features=max_features, bootstrap=bootstrap, oob_score=oob_score,
            random_state=random_state,
        )  # fmt: skip

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Grow the trees on X (N, D) and numbers y (N,)."""
        X, y, weights = self._training(X, y, sample_weight)
        y = y.astype(float)
        oob = self._fit(X, y[:, None], weights, DecisionTreeRegressor)
        if self.oob_score:
            self.oob_prediction_, self.oob_score_ = oob_r2(oob, y, type(self).__name__)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Mean of the trees' predictions, (N,)."""
        return self._mean(self._inputs(X, "predict"))[:, 0]
