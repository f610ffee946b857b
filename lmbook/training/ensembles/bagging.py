"""Bagging: the same model on many bootstrap samples, and the mean of what they say."""

from typing import Any, Self

import numpy as np

from lmbook.training.ensembles.estimator import (
    Classifier,
    Estimator,
    Regressor,
    Seed,
    at_least,
    clone,
    generator,
    probabilities,
)
from lmbook.training.ensembles.tree import DecisionTreeClassifier, DecisionTreeRegressor


def bootstrap(rng: np.random.Generator, n: int, size: int | None = None) -> np.ndarray:
    """`size` (default n) row numbers out of n, drawn with replacement."""
    return rng.integers(0, n, n if size is None else size)


def variance_of_mean(variance: float, correlation: float, n: int) -> float:
    """Variance of the mean of n variables with equal variance and equal correlation rho.

        rho sigma^2 + (1 - rho) sigma^2 / n

    More members lower the second term only. Source: Breiman 2001; Hastie et al. 2009, 15.2.
    """
    at_least("variance_of_mean", 1, n=n)
    at_least("variance_of_mean", 0, variance=variance)
    if n > 1 and not -1 / (n - 1) <= correlation <= 1:
        raise ValueError(
            f"variance_of_mean: {n} variables cannot all correlate by {correlation}; "
            f"at least {-1 / (n - 1):.3g}, at most 1"
        )
    return correlation * variance + (1 - correlation) * variance / n


class OutOfBag:
    """The mean of the members' answers for each row, from those only that have not seen it."""

    def __init__(self, n: int, k: int) -> None:
        self.sums, self.counts = np.zeros((n, k)), np.zeros(n, int)

    def add(self, answers: np.ndarray, rows: np.ndarray) -> None:
        """Answers (M, K) of one member for M rows that it has not seen."""
        self.sums[rows] += answers
        self.counts[rows] += 1

    def mean(self, name: str) -> np.ndarray:
        """(N, K); NaN for rows that every member has seen."""
        if not self.counts.any():
            raise ValueError(
                f"{name}.fit: oob_score: every row was in every sample; use more members or smaller samples"
            )
        seen_by_all = np.where(self.counts > 0, self.counts, np.nan)
        return self.sums / seen_by_all[:, None]


class Bagging(Estimator):
    """`n_estimators` clones of `estimator`, each fitted to a sample of the rows drawn with replacement.

    `max_samples` is the number of rows drawn, or their share. With `bootstrap=False` rows are drawn
    without replacement. `oob_score=True` judges each row by the members that have not seen it: about
    (1 - 1/N)^N = 37 % of them. Rows that all have seen are NaN there, and are left out of `oob_score_`.
    `estimators_samples_` holds the rows of each. Source: Breiman 1996.
    """

    estimators_: list[Any]

    def __init__(
        self,
        estimator: Any = None,
        n_estimators: int = 10,
        *,
        max_samples: int | float = 1.0,
        bootstrap: bool = True,
        oob_score: bool = False,
        random_state: Seed = 0,
    ) -> None:
        self.estimator, self.n_estimators, self.max_samples = estimator, n_estimators, max_samples
        self.bootstrap, self.oob_score, self.random_state = bootstrap, oob_score, random_state

    def _size(self, n: int) -> int:
        name, given = type(self).__name__, self.max_samples
        at_least(name, 1, n_estimators=self.n_estimators)
        size = int(given * n) if isinstance(given, float) and 0 < given <= 1 else given
        if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= n:
            raise ValueError(
                f"{name}: max_samples = {given!r} of {n} rows; a share up to 1.0, or a number of rows"
            )
        return size

    def _fit(self, X: np.ndarray, y: np.ndarray, default: type) -> OutOfBag:
        n, size, rng = len(X), self._size(len(X)), generator(self.random_state)
        prototype = default() if self.estimator is None else self.estimator
        self.estimators_, self.estimators_samples_ = [], []
        k = len(self.classes_) if isinstance(self, Classifier) else 1
        oob = OutOfBag(n, k)
        for _ in range(self.n_estimators):
            rows = self._draw(rng, y, size)
            member = clone(prototype, rng).fit(X[rows], y[rows])
            self.estimators_.append(member)
            self.estimators_samples_.append(rows)
            if self.oob_score:
                out = np.setdiff1d(np.arange(n), rows)
                if len(out):
                    oob.add(self._answers(member, X[out]), out)
        return oob

    def _draw(self, rng: np.random.Generator, y: np.ndarray, size: int) -> np.ndarray:
        """The rows of a member; a sample of one class is drawn again where there are more."""
        for _ in range(1000):
            rows = (
                bootstrap(rng, len(y), size) if self.bootstrap else rng.permutation(len(y))[:size]
            )
            several = isinstance(self, Classifier) and len(self.classes_) > 1
            if not several or (y[rows] != y[rows[0]]).any():
                return rows
        raise ValueError(
            f"{type(self).__name__}.fit: 1000 samples of {size} rows held one class each; "
            "raise max_samples"
        )

    def _answers(self, member: Any, X: np.ndarray) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} has no _answers method: write one")

    def _mean(self, X: np.ndarray) -> np.ndarray:
        return np.mean([self._answers(m, X) for m in self.estimators_], axis=0)


class BaggingClassifier(Bagging, Classifier):
    """Bagging of classifiers: the mean of their probabilities.

    A class that is missing from a sample has probability 0 in that member's answers; a sample of a
    single class is drawn again.
    `oob_decision_function_` (N, K) and `oob_score_` (accuracy) come with `oob_score=True`.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Draw the samples and fit a member to each."""
        X, y, _ = self._training(X, y, None)
        codes = self._classes(y)
        oob = self._fit(X, y, DecisionTreeClassifier)
        if self.oob_score:
            self.oob_decision_function_, self.oob_score_ = oob_accuracy(
                oob, codes, type(self).__name__
            )
        return self

    def _answers(self, member: Any, X: np.ndarray) -> np.ndarray:
        return probabilities(member, X, self.classes_)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Mean of the members' probabilities, (N, K)."""
        return self._mean(self._inputs(X, "predict_proba"))


class BaggingRegressor(Bagging, Regressor):
    """Bagging of regressors: the mean of their predictions.

    `oob_prediction_` (N,) and `oob_score_` (R^2) come with `oob_score=True`.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Draw the samples and fit a member to each."""
        X, y, _ = self._training(X, y, None)
        oob = self._fit(X, y.astype(float), DecisionTreeRegressor)
        if self.oob_score:
            self.oob_prediction_, self.oob_score_ = oob_r2(
                oob, y.astype(float), type(self).__name__
            )
        return self

    def _answers(self, member: Any, X: np.ndarray) -> np.ndarray:
        return member.predict(X)[:, None]

    def predict(self, X: Any) -> np.ndarray:
        """Mean of the members' predictions, (N,)."""
        return self._mean(self._inputs(X, "predict"))[:, 0]


def oob_accuracy(oob: OutOfBag, codes: np.ndarray, name: str) -> tuple[np.ndarray, float]:
    """Mean probabilities out of bag, and the share of the rows with any that they get right."""
    mean, judged = oob.mean(name), oob.counts > 0
    return mean, float(np.mean(mean[judged].argmax(axis=1) == codes[judged]))


def oob_r2(oob: OutOfBag, y: np.ndarray, name: str) -> tuple[np.ndarray, float]:
    """Mean predictions out of bag, and R^2 over the rows with any."""
    mean, judged = oob.mean(name)[:, 0], oob.counts > 0
    spread = ((y[judged] - y[judged].mean()) ** 2).sum()
    if spread == 0:
        raise ValueError(f"{name}.fit: oob_score: y is constant out of bag, so R^2 is not defined")
    return mean, 1 - float(((y - mean)[judged] ** 2).sum() / spread)
