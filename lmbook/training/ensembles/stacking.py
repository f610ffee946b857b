"""Stacking: a model that learns how far to trust the others, from answers on rows they have not seen."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np

from lmbook.training.ensembles.estimator import (
    Classifier,
    Estimator,
    Regressor,
    Seed,
    clone,
    generator,
    probabilities,
)
from lmbook.training.ensembles.linear import LogisticRegression, Ridge

Folds = int | Iterable[tuple[Any, Any]]
Pairs = list[tuple[np.ndarray, np.ndarray]]


def k_folds(n: int, k: int, rng: np.random.Generator, groups: np.ndarray | None = None) -> Pairs:
    """k pairs (train, test) of row numbers; every row is in one test. `groups` (N,) are dealt out evenly."""
    if not 2 <= k <= n:
        raise ValueError(f"k_folds: {k} folds of {n} rows; from 2 to the number of rows")
    order = rng.permutation(n)
    if groups is not None:
        order = order[np.argsort(groups[order], kind="stable")]
    fold = np.empty(n, int)
    fold[order] = np.arange(n) % k
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(k)]


def checked_folds(name: str, folds: Iterable[tuple[Any, Any]], n: int) -> Pairs:
    """`folds` as arrays, if no row is trained and judged in the same fold and each is judged once."""
    pairs = [(np.asarray(train), np.asarray(test)) for train, test in folds]
    judged = np.zeros(n, int)
    for i, (train, test) in enumerate(pairs):
        for part, rows in (("train", train), ("test", test)):
            if (
                rows.ndim != 1
                or rows.dtype.kind not in "iu"
                or not len(rows)
                or rows.min() < 0
                or rows.max() >= n
            ):
                raise ValueError(
                    f"{name}: {part} of fold {i} must hold row numbers from 0 to {n - 1}, at least one"
                )
        both = np.intersect1d(train, test)
        if len(both):
            raise ValueError(
                f"{name}: row {both[0]} is in train and test of fold {i}: "
                "the final model would learn from answers to known rows"
            )
        np.add.at(judged, test, 1)
    if (judged != 1).any():
        row = int(np.argmax(judged != 1))
        raise ValueError(f"{name}: row {row} is in the test of {judged[row]} folds; it must be one")
    return pairs


class Stacking(Estimator):
    """Level 0: `estimators`, a list of (name, model). Level 1: `final_estimator`, fitted to what they say.

    What it is fitted to are answers out of fold: for each fold the models are fitted to the other rows and
    asked about this one. Answers to rows that a model was fitted to would look better than they are, and
    the model that overfits most would be trusted most. After that the models are fitted to all rows.
    `folds` is a number of folds or pairs (train, test) of row numbers. With `passthrough` the final
    model sees the features too. `meta_features_` holds the out-of-fold answers, (N, columns).
    Sources: Wolpert 1992; Breiman 1996.
    """

    _made = "final_estimator_"

    def __init__(
        self,
        estimators: Sequence[tuple[str, Any]],
        final_estimator: Any = None,
        *,
        folds: Folds = 5,
        passthrough: bool = False,
        random_state: Seed = 0,
    ) -> None:
        self.estimators, self.final_estimator = list(estimators), final_estimator
        self.folds: int | list = folds if isinstance(folds, int | np.integer) else list(folds)
        self.passthrough, self.random_state = passthrough, random_state

    def _stack(self, X: np.ndarray, y: np.ndarray, default: Any, groups: np.ndarray | None) -> None:
        name = type(self).__name__
        names = [n for n, _ in self.estimators]
        if not names or len(set(names)) < len(names):
            raise ValueError(
                f"{name}: estimators must be pairs (name, model) with different names, not {names}"
            )
        rng = generator(self.random_state)
        if isinstance(self.folds, list):
            pairs = checked_folds(f"{name}.fit", self.folds, len(X))
        else:
            pairs = k_folds(len(X), int(self.folds), rng, groups)
        prototypes = [clone(model, rng) for _, model in self.estimators]
        answers: list[Any] = [None] * len(prototypes)
        for train, test in pairs:
            for i, prototype in enumerate(prototypes):
                said = self._answers(clone(prototype).fit(X[train], y[train]), X[test])
                if answers[i] is None:
                    answers[i] = np.empty((len(X), said.shape[1]))
                answers[i][test] = said
        self.meta_features_ = np.hstack(answers)
        self.estimators_ = [p.fit(X, y) for p in prototypes]
        self.named_estimators_ = dict(zip(names, self.estimators_, strict=True))
        final = default if self.final_estimator is None else self.final_estimator
        self.final_estimator_ = clone(final, rng).fit(self._level1(self.meta_features_, X), y)

    def _answers(self, model: Any, X: np.ndarray) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} has no _answers method: write one")

    def _level1(self, answers: np.ndarray, X: np.ndarray) -> np.ndarray:
        return np.hstack([answers, X]) if self.passthrough else answers

    def transform(self, X: Any) -> np.ndarray:
        """What the models fitted to all rows say of new ones, (N, columns)."""
        X = self._inputs(X, "transform")
        return np.hstack([self._answers(model, X) for model in self.estimators_])

    def _final(self, X: Any, operation: str) -> np.ndarray:
        X = self._inputs(X, operation)
        return self._level1(self.transform(X), X)


class StackingClassifier(Stacking, Classifier):
    """Stacking of probabilities, by default under a logistic regression.

    Of two classes the final model sees the second's probability only. A class that is missing from the
    training part of a fold has probability 0 in the answers of that fold. One class only is an error.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Fit both levels to X (N, D) and classes y (N,); own folds hold each class in like shares."""
        X, y, _ = self._training(X, y, None)
        codes = self._classes(y, least=2)
        self._stack(X, y, LogisticRegression(), codes)
        return self

    def _answers(self, model: Any, X: np.ndarray) -> np.ndarray:
        p = probabilities(model, X, self.classes_)
        return p[:, 1:] if len(self.classes_) == 2 else p

    def predict_proba(self, X: Any) -> np.ndarray:
        """The final model's probabilities, (N, K)."""
        final = self._final(X, "predict_proba")
        return probabilities(self.final_estimator_, final, self.classes_)


class StackingRegressor(Stacking, Regressor):
    """Stacking of predictions, by default under a ridge regression."""

    def fit(self, X: Any, y: Any) -> Self:
        """Fit both levels to X (N, D) and numbers y (N,)."""
        X, y, _ = self._training(X, y, None)
        self._stack(X, y.astype(float), Ridge(), None)
        return self

    def _answers(self, model: Any, X: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict(X), dtype=float)[:, None]

    def predict(self, X: Any) -> np.ndarray:
        """The final model's prediction, (N,)."""
        answers = self._final(X, "predict")
        return self.final_estimator_.predict(answers)
