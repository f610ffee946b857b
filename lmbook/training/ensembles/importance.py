"""Permutation importance: what the score loses when a feature is shuffled."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmbook.training.ensembles.estimator import Seed, at_least, generator, table


@dataclass
class Importance:
    """Fall of the score for each feature and repetition, (D, repeats), and its mean and spread (D,)."""

    importances: np.ndarray

    @property
    def importances_mean(self) -> np.ndarray:
        """Mean over the repetitions, (D,)."""
        return self.importances.mean(axis=1)

    @property
    def importances_std(self) -> np.ndarray:
        """Standard deviation over the repetitions, (D,)."""
        return self.importances.std(axis=1)


def permutation_importance(
    model: Any,
    X: Any,
    y: Any,
    *,
    scoring: Callable[[Any, np.ndarray, np.ndarray], float] | None = None,
    n_repeats: int = 5,
    random_state: Seed = 0,
) -> Importance:
    """Score on X, y less the score with one column shuffled, for each column.

    Give rows that the model was not fitted to. Of two features that say the same, neither is missed.
    `scoring(model, X, y)`, higher is better, is `model.score` by default. Source: Breiman 2001.
    """
    at_least("permutation_importance", 1, n_repeats=n_repeats)
    X, y, rng = table("permutation_importance", X), np.asarray(y), generator(random_state)
    score = scoring or (lambda model, X, y: model.score(X, y))
    base, fall = score(model, X, y), np.empty((X.shape[1], n_repeats))
    for feature in range(X.shape[1]):
        shuffled = X.copy()
        for i in range(n_repeats):
            shuffled[:, feature] = rng.permutation(X[:, feature])
            fall[feature, i] = base - score(model, shuffled, y)
    return Importance(fall)
