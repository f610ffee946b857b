"""No worse than scikit-learn's on real tables: the same splits for both, a corrected interval.

The rows of repeated cross-validation overlap, so the variance of the mean difference is taken as
(1 / J + test / train) s^2 in place of s^2 / J. Source: Nadeau and Bengio 2003.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import ensemble as theirs
from sklearn import linear_model
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier as TheirTree

from lmbook import data
from lmbook.training import ensembles as E

T_9 = 2.262  # 97.5 % of Student's t with 9 degrees of freedom


def breast_cancer() -> tuple[np.ndarray, np.ndarray]:
    return load_breast_cancer(return_X_y=True)


def nhefs() -> tuple[np.ndarray, np.ndarray]:
    parts = data.nhefs()
    return np.vstack([p.features for p in parts]), np.concatenate([p.labels for p in parts])


Make = Callable[[int], Any]
PAIRS: dict[str, tuple[Make, Make]] = {
    "bagging": (
        lambda s: E.BaggingClassifier(n_estimators=20, random_state=s),
        lambda s: theirs.BaggingClassifier(TheirTree(), n_estimators=20, random_state=s),
    ),
    "forest": (
        lambda s: E.RandomForestClassifier(30, min_samples_leaf=3, random_state=s),
        lambda s: theirs.RandomForestClassifier(30, min_samples_leaf=3, random_state=s),
    ),
    "stochastic boosting": (
        lambda s: E.GradientBoostingClassifier(
            n_estimators=40, max_depth=2, subsample=0.5, random_state=s
        ),
        lambda s: theirs.GradientBoostingClassifier(
            n_estimators=40, max_depth=2, subsample=0.5, random_state=s
        ),
    ),
    "stacking": (
        lambda s: E.StackingClassifier(
            [
                ("forest", E.RandomForestClassifier(15, min_samples_leaf=5)),
                ("line", E.LogisticRegression(0.1)),
            ],
            folds=4,
            random_state=s,
        ),
        lambda s: theirs.StackingClassifier(
            [
                ("forest", theirs.RandomForestClassifier(15, min_samples_leaf=5, random_state=s)),
                ("line", linear_model.LogisticRegression(C=0.1)),
            ],
            linear_model.LogisticRegression(),
            cv=4,
        ),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("load", [breast_cancer, nhefs])
@pytest.mark.parametrize("name", PAIRS)
def test_as_good_as_scikit_learn(
    name: str, load: Callable[[], tuple[np.ndarray, np.ndarray]]
) -> None:
    X, y = load()
    rng, differences, best = np.random.default_rng(0), [], []
    for repeat in range(2):
        for train, test in E.k_folds(len(X), 5, rng, y):
            middle = np.nanmedian(X[train], axis=0)
            filled = np.where(np.isnan(X), middle, X)
            filled = (filled - filled[train].mean(axis=0)) / (filled[train].std(axis=0) + 1e-12)
            ours, other = (
                roc_auc_score(
                    y[test],
                    make(repeat).fit(filled[train], y[train]).predict_proba(filled[test])[:, 1],
                )
                for make in PAIRS[name]
            )
            differences.append(ours - other)
            best.append(ours)
    d = np.array(differences)
    half = T_9 * math.sqrt((1 / 10 + 1 / 4) * d.var(ddof=1))
    assert d.mean() + half >= 0, f"{name} is worse by {-d.mean():.4f} +- {half:.4f}"
    assert d.mean() > -0.01 and half < 0.03
    assert np.mean(best) > (0.98 if load is breast_cancer else 0.77)
