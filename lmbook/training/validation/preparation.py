"""Steps that learn from rows before a model does, and the pipeline that keeps them inside a fold."""

from copy import deepcopy
from typing import Any

import numpy as np


class MedianImputer:
    """Fill missing values (NaN) with the training part's median of the column."""

    def fit(self, x: np.ndarray, y: Any = None) -> "MedianImputer":
        """Learn the medians of `x`, shape (rows, columns)."""
        x = np.asarray(x, dtype=np.float64)
        empty = np.isnan(x).all(axis=0)
        if empty.any():
            raise ValueError(
                f"MedianImputer.fit: columns {np.flatnonzero(empty).tolist()} have no value; drop them"
            )
        self.median = np.nanmedian(x, axis=0)
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """The table without gaps, float64, same shape."""
        x = np.asarray(x, dtype=np.float64)
        return np.where(np.isnan(x), self.median, x)


class SelectKBest:
    """Keep the k columns whose class means differ most, by the F statistic of a one-way analysis.

        F = (sum_c n_c (m_c - m)^2 / (C - 1)) / (sum_c sum_i (x_i - m_c)^2 / (n - C))

    for C classes with means m_c. As scikit-learn's `SelectKBest(f_classif, k=k)`.
    """

    def __init__(self, k: int = 10) -> None:
        if k < 1:
            raise ValueError(f"SelectKBest: k must be at least 1, not {k}")
        self.k = k

    def fit(self, x: np.ndarray, y: np.ndarray) -> "SelectKBest":
        """Learn which columns of `x`, shape (rows, columns), go with the classes `y`."""
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y)
        if self.k > x.shape[1]:
            raise ValueError(f"SelectKBest.fit: k={self.k} of {x.shape[1]} columns")
        self.scores = f_statistic(x, y)
        self.columns = np.sort(np.argsort(self.scores, kind="stable")[-self.k :])
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """The kept columns, shape (rows, k)."""
        return np.asarray(x)[:, self.columns]


def f_statistic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """F of every column for the classes in `y`; 0 for a constant column. Shape (columns,)."""
    classes, code = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"f_statistic: one class ({classes.tolist()}), nothing to tell apart")
    member = code == np.arange(len(classes))[:, None]  # (C, n)
    counts = member.sum(axis=1, keepdims=True)
    means = member @ x / counts
    between = (counts * (means - x.mean(axis=0)) ** 2).sum(axis=0) / (len(classes) - 1)
    within = ((x - means[code]) ** 2).sum(axis=0) / (len(x) - len(classes))
    return np.divide(between, within, out=np.zeros_like(between), where=within > 0)


class Pipeline:
    """Steps with `fit` and `transform`, then a model with `fit` and `predict`, as one model.

        Pipeline(StandardScaler(), SelectKBest(20), model)

    `fit` fits copies of its parts, in order, on what it is given and nothing else. Whatever the
    model offers (`predict_proba`, `classes_`, ...) is passed on.
    """

    def __init__(self, *steps: Any) -> None:
        if not steps:
            raise ValueError("Pipeline: give at least a model: Pipeline(step, ..., model)")
        for step in steps[:-1]:
            if not hasattr(step, "transform"):
                raise TypeError(f"Pipeline: {step!r} stands before the model and has no transform")
        self.steps = steps

    def fit(self, x: Any, y: Any) -> "Pipeline":
        """Fit each step on the output of those before it."""
        self.fitted = [deepcopy(step) for step in self.steps]
        for step in self.fitted[:-1]:
            try:
                step.fit(x, y)
            except TypeError:  # scalers take no labels
                step.fit(x)
            x = step.transform(x)
        self.fitted[-1].fit(x, y)
        return self

    def transform(self, x: Any) -> Any:
        """`x` as the model sees it."""
        for step in self._parts()[:-1]:
            x = step.transform(x)
        return x

    def predict(self, x: Any) -> Any:
        """The model's prediction for each row."""
        return self._parts()[-1].predict(self.transform(x))

    def _parts(self) -> list[Any]:
        if "fitted" not in self.__dict__:
            raise ValueError("Pipeline: call fit first")
        return self.fitted

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("steps", "fitted"):
            raise AttributeError(name)
        model = self.fitted[-1] if "fitted" in self.__dict__ else self.__dict__["steps"][-1]
        value = getattr(model, name)
        if name in ("predict_proba", "decision_function", "predict_log_proba"):
            return lambda x: value(self.transform(x))
        if name == "score":
            return lambda x, y: value(self.transform(x), y)
        return value
