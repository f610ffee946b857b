"""AdaBoost: each weak learner looks hardest at what those before it got wrong."""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from lmbook.training.ensembles.estimator import Classifier, Seed, at_least, clone, generator
from lmbook.training.ensembles.growing import Columns
from lmbook.training.ensembles.tree import DecisionTreeClassifier


class AdaBoostClassifier(Classifier):
    """SAMME, AdaBoost for K classes. Each round, with row weights w that sum to 1:

        err   = sum of w over the rows that the learner gets wrong
        alpha = learning_rate (log((1 - err) / err) + log(K - 1))
        w     = w exp(alpha) where it was wrong, then scaled to sum 1

    `estimator` (default: a tree of one question) must take `sample_weight`. A learner without an error
    ends the rounds, with alpha = 1; one no better than guessing, err >= 1 - 1/K, ends them and is
    dropped. The answers are scikit-learn's, whose only algorithm this is from version 1.6 on.
    Sources: Freund and Schapire 1997; Zhu et al. 2009.
    """

    estimators_: list[Any]

    def __init__(
        self,
        estimator: Any = None,
        n_estimators: int = 50,
        *,
        learning_rate: float = 1.0,
        random_state: Seed = 0,
    ) -> None:
        self.estimator, self.n_estimators = estimator, n_estimators
        self.learning_rate, self.random_state = learning_rate, random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Boost on X (N, D) and classes y (N,); `sample_weight` is where w starts."""
        at_least("AdaBoostClassifier", 1, n_estimators=self.n_estimators)
        if not self.learning_rate > 0:
            raise ValueError(
                f"AdaBoostClassifier: learning_rate must be above 0, not {self.learning_rate}"
            )
        X, y, w = self._training(X, y, sample_weight)
        codes = self._classes(y, least=2)
        k, rng = len(self.classes_), generator(self.random_state)
        prototype = (
            DecisionTreeClassifier(max_depth=1) if self.estimator is None else self.estimator
        )
        ours = isinstance(prototype, DecisionTreeClassifier)
        columns, targets = Columns(X) if ours else None, np.eye(k)[codes]
        members, alphas, errors = [], [], []
        w = w / w.sum()
        for round_ in range(self.n_estimators):
            member = clone(prototype, rng)
            if columns is None:
                member.fit(X, y, sample_weight=w)
            else:  # the ranks of the values serve all rounds
                member.classes_ = self.classes_
                member.grow(columns, targets, w)
            wrong = member.predict(X) != y
            error = float(w[wrong].sum())
            if error >= 1 - 1 / k:
                if round_ == 0:
                    raise ValueError(
                        f"AdaBoostClassifier.fit: the first learner errs on {error:.3g} of the weight, no "
                        f"better than guessing among {k} classes; take a deeper estimator or better features"
                    )
                break
            perfect = error <= 0
            alpha = (
                1.0
                if perfect
                else self.learning_rate * (np.log((1 - error) / error) + np.log(k - 1))
            )
            members.append(member)
            alphas.append(float(alpha))
            errors.append(error)
            if perfect:
                break
            w = w * np.exp(alpha * wrong)
            w = w / w.sum()
        self.estimators_, self.weights_ = members, w
        self.estimator_weights_, self.estimator_errors_ = np.array(alphas), np.array(errors)
        return self

    def _votes(self, X: np.ndarray) -> Iterator[np.ndarray]:
        """After each round, the mean vote weighted by alpha: 1 for a class, -1 / (K - 1) for the others."""
        k, total, votes = len(self.classes_), 0.0, np.zeros((len(X), len(self.classes_)))
        for member, alpha in zip(self.estimators_, self.estimator_weights_, strict=True):
            hit = member.predict(X)[:, None] == self.classes_
            votes = votes + alpha * np.where(hit, 1.0, -1 / (k - 1))
            total += alpha
            yield votes / total

    def _last(self, X: Any, operation: str) -> np.ndarray:
        *_, votes = self._votes(self._inputs(X, operation))
        return votes

    def decision_function(self, X: Any) -> np.ndarray:
        """Weighted votes: (N, K), or for two classes (N,), positive for the second."""
        votes = self._last(X, "decision_function")
        return votes[:, 1] - votes[:, 0] if len(self.classes_) == 2 else votes

    def predict(self, X: Any) -> np.ndarray:
        """The class of the largest vote; of equals the first."""
        votes = self._last(X, "predict")
        return self.classes_[votes.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """softmax(votes / (K - 1)), (N, K): ordered as the votes are, but no calibrated probabilities."""
        votes = self._last(X, "predict_proba")
        e = np.exp(votes / (len(self.classes_) - 1))
        return e / e.sum(axis=1, keepdims=True)

    def staged_predict(self, X: Any) -> Iterator[np.ndarray]:
        """The predictions after 1, 2, ... rounds."""
        X = self._inputs(X, "staged_predict")
        return (self.classes_[votes.argmax(axis=1)] for votes in self._votes(X))
