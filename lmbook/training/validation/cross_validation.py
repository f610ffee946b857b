"""Fit on the training part of every fold, score on its test part; and once more around a choice."""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lmbook.backend.errors import ShapeError
from lmbook.training.validation.splits import Fold, KFold, Splitter, StratifiedKFold

Score = Callable[[Any, Any, Any], float]


@dataclass
class Scores:
    """What each fold gave. `test` and `train` have shape (folds,); `predictions` are out of fold."""

    test: np.ndarray
    train: np.ndarray
    predictions: np.ndarray
    folds: list[Fold] = field(repr=False)
    models: list[Any] = field(repr=False)

    @property
    def mean(self) -> float:
        """Mean of the test scores."""
        return float(self.test.mean())

    def standard_error(self, corrected: bool = True) -> float:
        """Of the mean: sqrt((1/k + n_test/n_train) s^2), or naively sqrt(s^2 / k).

        Folds share most of their training rows, so their scores are not independent and the naive
        formula is too small. The correction is that of Nadeau and Bengio (2003); no formula is
        unbiased (Bengio and Grandvalet 2004).
        """
        ratio = float(np.mean([len(test) / len(train) for train, test in self.folds]))
        factor = 1 / len(self.test) + (ratio if corrected else 0)
        return float(np.sqrt(factor * self.test.var(ddof=1)))


def accuracy_of(model: Any, x: Any, y: Any) -> float:
    """Share of the rows whose prediction is right."""
    return float(np.mean(np.asarray(model.predict(x)) == np.asarray(y)))


def cross_validate(
    model: Any,
    x: np.ndarray,
    y: np.ndarray,
    splitter: Splitter | int = 5,
    *,
    groups: Any = None,
    score: Score = accuracy_of,
) -> Scores:
    """Fit a copy of `model` in every fold and score it on the rows that it has not seen.

    `model` has `fit(x, y)` and `predict(x)` and is left as it is. A whole number asks for that many
    folds: stratified for a classifier (a model with `predict_proba`), else plain. `score(model, x, y)`
    gives a number, larger is better.

    Raises `ValueError` where a training part lacks a class of a classifier, naming fold and class.
    """
    x, y = np.asarray(x), np.asarray(y)
    if len(x) != len(y):
        raise ShapeError(f"cross_validate: {len(x)} rows of x but {len(y)} of y")
    classifier = hasattr(model, "predict_proba")
    if isinstance(splitter, int):
        splitter = StratifiedKFold(splitter) if classifier else KFold(splitter)
    folds = list(_checked(splitter.split(x, y, groups), y, classifier))
    test, train, models = [], [], []
    predictions: np.ndarray | None = None
    for k, (learn, held_out) in enumerate(folds):
        fitted = deepcopy(model)
        try:
            fitted.fit(x[learn], y[learn])
            said = np.asarray(fitted.predict(x[held_out]))
            test.append(float(score(fitted, x[held_out], y[held_out])))
            train.append(float(score(fitted, x[learn], y[learn])))
        except Exception as error:
            error.add_note(
                f"cross_validate: in fold {k} of {len(folds)}, {len(learn)} rows to learn from"
            )
            raise
        if predictions is None:
            predictions = _blank(said, len(x))
        predictions[held_out] = said
        models.append(fitted)
    assert predictions is not None
    return Scores(np.array(test), np.array(train), predictions, folds, models)


def _blank(like: np.ndarray, n: int) -> np.ndarray:
    """Room for n predictions; NaN (or zeros, for what cannot be NaN) where a row is never tested."""
    fill = np.nan if like.dtype.kind == "f" else np.zeros((), like.dtype)
    return np.full((n, *like.shape[1:]), fill, dtype=like.dtype)


def _checked(folds: Iterator[Fold], y: np.ndarray, classifier: bool) -> Iterator[Fold]:
    every = np.unique(y) if classifier else np.array([])
    for k, (train, test) in enumerate(folds):
        if not len(train) or not len(test):
            raise ValueError(
                f"cross_validate: fold {k} has {len(train)} rows to learn from and {len(test)} to test on"
            )
        missing = np.setdiff1d(every, y[train])
        if len(missing):
            raise ValueError(
                f"cross_validate: fold {k} has no row of class {missing[0].item()!r} to learn from; "
                "are the rows sorted by class? Shuffle, or use StratifiedKFold"
            )
        yield train, test


@dataclass
class Choice:
    """The name of the best candidate, and the mean score of each."""

    name: str
    means: dict[str, float]


def choose(
    candidates: Mapping[str, Any],
    x: np.ndarray,
    y: np.ndarray,
    splitter: Splitter | int = 5,
    *,
    groups: Any = None,
    score: Score = accuracy_of,
) -> Choice:
    """The candidate with the best cross-validated mean; of equals the first."""
    if not candidates:
        raise ValueError("choose: no candidates")
    means = {
        name: cross_validate(model, x, y, splitter, groups=groups, score=score).mean
        for name, model in candidates.items()
    }
    return Choice(max(means, key=means.__getitem__), means)


class BestOf:
    """A model that chooses among candidates by cross-validation when it is fitted, and fits the best.

    Cross-validating a `BestOf` is nested cross-validation: the inner folds choose, the outer ones
    judge the whole procedure, choice included.
    """

    def __init__(
        self,
        candidates: Mapping[str, Any],
        splitter: Splitter | int = 5,
        score: Score = accuracy_of,
    ) -> None:
        self.candidates, self.splitter, self.score_by = dict(candidates), splitter, score

    def fit(self, x: np.ndarray, y: np.ndarray) -> "BestOf":
        """Choose, then fit the chosen on all rows."""
        self.choice = choose(self.candidates, x, y, self.splitter, score=self.score_by)
        self.model = deepcopy(self.candidates[self.choice.name]).fit(x, y)
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The chosen model's predictions."""
        return self.model.predict(x)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("candidates", "model"):
            raise AttributeError(name)
        model = self.__dict__.get("model") or next(iter(self.candidates.values()), None)
        return getattr(model, name)
