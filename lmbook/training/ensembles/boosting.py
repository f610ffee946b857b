"""Gradient boosting: each tree is fitted to the slope of the loss at what the trees before it say."""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np

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
from lmbook.training.ensembles.losses import LogLoss, Loss, SquaredError
from lmbook.training.ensembles.tree import DecisionTreeRegressor


class GradientBoosting(Estimator):
    """F_0 is the best constant; then for m = 1 .. n_estimators

        r = - dL/dF  at F_{m-1}           one number a row (K for K > 2 classes, and as many trees)
        tree: a regression tree on r; each leaf's value is a Newton step for the rows in it
        F_m = F_{m-1} + learning_rate tree(x)

    `subsample` below 1 fits each tree to that share of the rows, drawn without replacement. With
    `n_iter_no_change` a share `validation_fraction` is put aside (of each class alike), and the rounds
    end when its loss is not `tol` below any of the last so many; `n_estimators_` counts what was
    fitted. `train_score_` is the loss on the rows in the sample. With subsample 1, all features at
    each node and no early stopping the answers are scikit-learn's; its draws of rows are others.
    Source: Friedman 2001, 2002.
    """

    estimators_: list[list[DecisionTreeRegressor]]
    _loss: Loss

    def __init__(
        self,
        *,
        loss: str,
        learning_rate: float = 0.1,
        n_estimators: int = 100,
        subsample: float = 1.0,
        max_depth: int | None = 3,
        min_samples_split: int = 2,
        min_samples_leaf: int = 1,
        max_features: int | float | str | None = None,
        validation_fraction: float = 0.1,
        n_iter_no_change: int | None = None,
        tol: float = 1e-4,
        random_state: Seed = 0,
    ) -> None:
        self.loss, self.learning_rate, self.n_estimators = loss, learning_rate, n_estimators
        self.subsample, self.max_depth = subsample, max_depth
        self.min_samples_split, self.min_samples_leaf = min_samples_split, min_samples_leaf
        self.max_features, self.validation_fraction = max_features, validation_fraction
        self.n_iter_no_change, self.tol, self.random_state = n_iter_no_change, tol, random_state

    def _check(self) -> None:
        name = type(self).__name__
        at_least(name, 1, n_estimators=self.n_estimators)
        at_least(name, 0, tol=self.tol)
        if not self.learning_rate > 0:
            raise ValueError(f"{name}: learning_rate must be above 0, not {self.learning_rate}")
        if not 0 < self.subsample <= 1:
            raise ValueError(f"{name}: subsample is a share above 0, up to 1, not {self.subsample}")
        if self.n_iter_no_change is not None:
            at_least(name, 1, n_iter_no_change=self.n_iter_no_change)
            if not 0 < self.validation_fraction < 1:
                raise ValueError(
                    f"{name}: validation_fraction is a share between 0 and 1, not {self.validation_fraction}"
                )

    def _boost(
        self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray, groups: np.ndarray
    ) -> None:
        """Fit to targets (N, K'); `groups` are the classes, which early stopping splits alike."""
        self._check()
        rng, stop = generator(self.random_state), self.n_iter_no_change
        held = (
            _put_aside(rng, groups, self.validation_fraction, type(self).__name__) if stop else None
        )
        if held is not None:
            kept = np.setdiff1d(np.arange(len(X)), held)
            X_held, held_targets, held_weights = X[held], targets[held], weights[held]
            X, targets, weights = X[kept], targets[kept], weights[kept]
            self.validation_score_: list[float] = []
        loss, columns, n = self._loss, Columns(X), len(X)
        self.init_ = loss.start(targets, weights)
        raw = np.tile(self.init_, (n, 1))
        raw_held = np.tile(self.init_, (0 if held is None else len(held), 1))
        rounds: list[list[DecisionTreeRegressor]] = []
        scores: list[float] = []
        for _ in range(self.n_estimators):
            drawn = weights * _drawn(rng, n, self.subsample)
            trees = self._round(columns, loss.residual(targets, raw), targets, raw, drawn, rng)
            raw = raw + self.learning_rate * _answers(trees, X)
            rounds.append(trees)
            scores.append(loss.value(targets, raw, drawn))
            if held is not None:
                raw_held = raw_held + self.learning_rate * _answers(trees, X_held)
                self.validation_score_.append(loss.value(held_targets, raw_held, held_weights))
                if _stalled(self.validation_score_, stop or 0, self.tol):
                    break
        self.estimators_, self.train_score_ = rounds, np.array(scores)

    def _round(
        self, columns: Columns, residual: np.ndarray, targets: np.ndarray, raw: np.ndarray,
        weights: np.ndarray, rng: np.random.Generator,
    ) -> list[DecisionTreeRegressor]:  # fmt: skip
        """A tree for each column of the residual, its leaves set by the loss."""
        trees, settings = [], ("max_depth", "min_samples_split", "min_samples_leaf", "max_features")
        curvature = self._loss.curvature(targets, raw)
        for k in range(residual.shape[1]):
            member = DecisionTreeRegressor(
                **{s: getattr(self, s) for s in settings}, random_state=draw_seed(rng)
            )
            tree = member.grow(columns, residual[:, k : k + 1], weights).tree_
            leaf = tree.apply(columns.X)
            up = np.bincount(leaf, weights * residual[:, k], tree.node_count)
            down = np.bincount(leaf, weights * curvature[:, k], tree.node_count)
            tree.value = np.divide(up, down, out=np.zeros_like(up), where=down > 1e-150)[:, None]
            trees.append(member)
        return trees

    @property
    def n_estimators_(self) -> int:
        """Rounds that were fitted."""
        self._fitted("n_estimators_")
        return len(self.estimators_)

    @property
    def feature_importances_(self) -> np.ndarray:
        """Each feature's share of the fall in the squared error of all trees, (D,)."""
        self._fitted("feature_importances_")
        trees = [t for round_ in self.estimators_ for t in round_]
        drop = np.sum([t.tree_.importances(self.n_features_in_) for t in trees], axis=0)
        return drop / drop.sum() if drop.sum() > 0 else drop

    def _staged(self, X: Any, operation: str) -> Iterator[np.ndarray]:
        """F after 1, 2, ... rounds, (N, K')."""
        X = self._inputs(X, operation)
        return self._stages(X)

    def _stages(self, X: np.ndarray) -> Iterator[np.ndarray]:
        raw = np.tile(self.init_, (len(X), 1))
        for trees in self.estimators_:
            raw = raw + self.learning_rate * _answers(trees, X)
            yield raw

    def _raw(self, X: Any, operation: str) -> np.ndarray:
        *_, raw = self._staged(X, operation)
        return raw


class GradientBoostingRegressor(GradientBoosting, Regressor):
    """Gradient boosting of the squared error: the residual is y - F, and a leaf's value its mean."""

    def __init__(
        self, *, loss: str = "squared_error", learning_rate: float = 0.1, n_estimators: int = 100,
        subsample: float = 1.0, max_depth: int | None = 3, min_samples_split: int = 2,
        min_samples_leaf: int = 1, max_features: int | float | str | None = None,
        validation_fraction: float = 0.1, n_iter_no_change: int | None = None, tol: float = 1e-4,
        random_state: Seed = 0,
    ) -> None:  # fmt: skip
        super().__init__(
            loss=loss, learning_rate=learning_rate, n_estimators=n_estimators, subsample=subsample,
            max_depth=max_depth, min_samples_split=min_samples_split,
            min_samples_leaf=min_samples_leaf, max_features=max_features,
            validation_fraction=validation_fraction, n_iter_no_change=n_iter_no_change, tol=tol,
            random_state=random_state,
        )  # fmt: skip

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Boost on X (N, D) and numbers y (N,)."""
        if self.loss != "squared_error":
            raise ValueError(
                f'GradientBoostingRegressor: loss is "squared_error", not {self.loss!r}'
            )
        X, y, weights = self._training(X, y, sample_weight)
        self._loss = SquaredError()
        self._boost(X, y.astype(float)[:, None], weights, np.zeros(len(y), int))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """F after all rounds, (N,)."""
        return self._raw(X, "predict")[:, 0]

    def staged_predict(self, X: Any) -> Iterator[np.ndarray]:
        """The predictions after 1, 2, ... rounds."""
        return (raw[:, 0] for raw in self._staged(X, "staged_predict"))


class GradientBoostingClassifier(GradientBoosting, Classifier):
    """Gradient boosting of the log loss: the residual is 1 or 0 less the probability.

    Two classes share one F, the log-odds of the second; more have a tree each a round, and softmax.
    """

    def __init__(
        self, *, loss: str = "log_loss", learning_rate: float = 0.1, n_estimators: int = 100,
        subsample: float = 1.0, max_depth: int | None = 3, min_samples_split: int = 2,
        min_samples_leaf: int = 1, max_features: int | float | str | None = None,
        validation_fraction: float = 0.1, n_iter_no_change: int | None = None, tol: float = 1e-4,
        random_state: Seed = 0,
    ) -> None:  # fmt: skip
        super().__init__(
            loss=loss, learning_rate=learning_rate, n_estimators=n_estimators, subsample=subsample,
            max_depth=max_depth, min_samples_split=min_samples_split,
            min_samples_leaf=min_samples_leaf, max_features=max_features,
            validation_fraction=validation_fraction, n_iter_no_change=n_iter_no_change, tol=tol,
            random_state=random_state,
        )  # fmt: skip

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Boost on X (N, D) and classes y (N,)."""
        if self.loss != "log_loss":
            raise ValueError(f'GradientBoostingClassifier: loss is "log_loss", not {self.loss!r}')
        X, y, weights = self._training(X, y, sample_weight)
        codes = self._classes(y, least=2)
        missing = np.bincount(codes, weights) == 0
        if missing.any():
            raise ValueError(
                f"GradientBoostingClassifier.fit: class {self.classes_[missing.argmax()]} "
                "has no row of positive weight"
            )
        k = len(self.classes_)
        self._loss = LogLoss(k)
        self._boost(X, codes[:, None] * 1.0 if k == 2 else np.eye(k)[codes], weights, codes)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """F after all rounds: log-odds (N,) for two classes, else (N, K)."""
        raw = self._raw(X, "decision_function")
        return raw[:, 0] if len(self.classes_) == 2 else raw

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities, (N, K)."""
        raw = self._raw(X, "predict_proba")
        return self._loss.probabilities(raw)

    def staged_predict_proba(self, X: Any) -> Iterator[np.ndarray]:
        """The probabilities after 1, 2, ... rounds."""
        return (self._loss.probabilities(raw) for raw in self._staged(X, "staged_predict_proba"))

    def staged_predict(self, X: Any) -> Iterator[np.ndarray]:
        """The predictions after 1, 2, ... rounds."""
        return (self.classes_[p.argmax(axis=1)] for p in self.staged_predict_proba(X))


def _answers(trees: list[DecisionTreeRegressor], X: np.ndarray) -> np.ndarray:
    """What the trees of a round say, (N, K')."""
    return np.stack([t.tree_.value[t.tree_.apply(X), 0] for t in trees], axis=1)


def _drawn(rng: np.random.Generator, n: int, share: float) -> np.ndarray:
    """1 for the rows of a round, 0 for the others."""
    if share == 1:
        return np.ones(n)
    drawn = np.zeros(n)
    drawn[rng.permutation(n)[: max(1, int(share * n))]] = 1
    return drawn


def _put_aside(rng: np.random.Generator, groups: np.ndarray, share: float, name: str) -> np.ndarray:
    """Rows to validate with: that share of each group, at least one of each, and one is left."""
    held = []
    for g in np.unique(groups):
        rows = rng.permutation(np.flatnonzero(groups == g))
        if len(rows) < 2:
            raise ValueError(
                f"{name}.fit: n_iter_no_change puts rows of each class aside, and one class has a single row"
            )
        held.append(rows[: min(max(1, round(share * len(rows))), len(rows) - 1)])
    return np.sort(np.concatenate(held))


def _stalled(losses: list[float], rounds: int, tol: float) -> bool:
    """Whether the newest loss is not `tol` below any of the `rounds` before it."""
    before = losses[-rounds - 1 : -1]
    return len(before) == rounds and losses[-1] + tol >= max(before)
