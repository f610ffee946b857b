"""What all models of this room share: settings, checks of what they are given, classes, a score."""

import copy
import inspect
from typing import Any, Self

import numpy as np

from lmbook.backend import NonFiniteError, ShapeError
from lmbook.backend.random import default_generator

Seed = int | np.random.Generator | None


class NotFittedError(RuntimeError):
    """A model was asked for something that it knows only after `fit`."""


def generator(seed: Seed) -> np.random.Generator:
    """A generator from a number, a generator (used as it is), or None for the book's own."""
    if isinstance(seed, np.random.Generator):
        return seed
    return default_generator() if seed is None else np.random.default_rng(seed)


def draw_seed(rng: np.random.Generator) -> int:
    """A seed for a member of an ensemble."""
    return int(rng.integers(2**31))


def clone(model: Any, rng: np.random.Generator | None = None) -> Any:
    """A fresh model with the same settings; its `random_state` is drawn from `rng` if it has one.

    Works for any model with `get_params`, scikit-learn's included.
    """
    settings = {name: copy.deepcopy(v) for name, v in model.get_params(deep=False).items()}
    if rng is not None and "random_state" in settings:
        settings["random_state"] = draw_seed(rng)
    return type(model)(**settings)


def at_least(name: str, least: float, **settings: Any) -> None:
    """Raise ValueError for a setting that is below `least` or no number."""
    for setting, value in settings.items():
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float | np.number)
            or not value >= least
        ):
            raise ValueError(f"{name}: {setting} must be {least} or more, not {value!r}")


def table(name: str, X: Any) -> np.ndarray:
    """`X` as floats of shape (N, D), N and D at least 1, all finite."""
    X = np.asarray(X)
    if X.dtype.kind not in "biuf":
        raise TypeError(f"{name}: X must hold numbers, not {X.dtype}; encode categories first")
    X = X.astype(float)
    if X.ndim != 2:
        way = "; a single row is X[None], a single feature X[:, None]" if X.ndim == 1 else ""
        raise ShapeError(f"{name}: X must have the shape (rows, features), not {X.shape}{way}")
    if 0 in X.shape:
        raise ShapeError(f"{name}: X of shape {X.shape} is empty; at least one row and one feature")
    finite = np.isfinite(X)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise NonFiniteError(
            f"{name}: X[{row}, {column}] is {X[row, column]}; fill or drop missing values first"
        )
    return X


def weights_of(name: str, given: Any, n: int) -> np.ndarray:
    """Sample weights, (N,), ones if None: not negative, and not all zero."""
    if given is None:
        return np.ones(n)
    w = np.asarray(given, dtype=float)
    if w.shape != (n,):
        raise ShapeError(f"{name}: sample_weight has the shape {w.shape} for {n} rows of X")
    if not np.isfinite(w).all() or (w < 0).any() or w.sum() == 0:
        raise ValueError(f"{name}: sample_weight must be finite, not negative, and not all zero")
    return w


class Estimator:
    """Settings are the arguments of `__init__`; what `fit` finds ends in an underscore."""

    n_features_in_: int
    _made = "estimators_"  # the attribute that `fit` sets last

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The settings by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **settings: Any) -> Self:
        """Change settings; `fit` uses them."""
        for name, value in settings.items():
            if name not in self.get_params():
                raise ValueError(
                    f"{type(self).__name__}.set_params: no setting {name!r}; "
                    f"there are {', '.join(self.get_params())}"
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        shown = [f"{k}={v!r}" for k, v in self.get_params().items() if v is not defaults[k].default]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _training(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What `fit` was given, checked: X (N, D), y (N,), weights (N,)."""
        name = f"{type(self).__name__}.fit"
        X, y = table(name, X), np.asarray(y)
        if y.shape != (len(X),):
            raise ShapeError(
                f"{name}: y has the shape {y.shape} for {len(X)} rows of X; it must be ({len(X)},)"
            )
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            i = int(np.argmin(np.isfinite(y)))
            raise NonFiniteError(f"{name}: y[{i}] is {y[i]}; drop rows without a target first")
        self.n_features_in_ = X.shape[1]
        return X, y, weights_of(name, sample_weight, len(X))

    def _fitted(self, operation: str) -> None:
        if not hasattr(self, self._made):
            raise NotFittedError(
                f"{type(self).__name__}.{operation}: not fitted yet; call fit(X, y) first"
            )

    def _inputs(self, X: Any, operation: str) -> np.ndarray:
        """What a fitted model was given to judge, checked: (N, D) with the D of the training."""
        name = f"{type(self).__name__}.{operation}"
        self._fitted(operation)
        X = table(name, X)
        if X.shape[1] != self.n_features_in_:
            raise ShapeError(
                f"{name}: X has {X.shape[1]} features, and fit saw {self.n_features_in_}"
            )
        return X

    def predict(self, X: Any) -> np.ndarray:
        """One prediction a row."""
        raise NotImplementedError(f"{type(self).__name__} has no predict method: write one")


class Classifier(Estimator):
    """A model of classes. `classes_` holds them sorted; columns of probabilities follow it."""

    classes_: np.ndarray

    def _classes(self, y: np.ndarray, least: int = 1) -> np.ndarray:
        """Store `classes_`; return y as their numbers 0 .. K-1."""
        name = type(self).__name__
        if y.dtype.kind == "f" and (y != np.round(y)).any():
            raise ValueError(
                f"{name}.fit: y holds {y[y != np.round(y)][0]}, no class; is this a regression?"
            )
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < least:
            raise ValueError(
                f"{name}.fit: y holds one class only, {self.classes_[0]}; there is nothing to tell apart"
            )
        return codes

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities, (N, K), in the order of `classes_`."""
        raise NotImplementedError(f"{type(self).__name__} has no predict_proba method: write one")

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row; the first of equals."""
        X = self._inputs(X, "predict")
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def score(self, X: Any, y: Any) -> float:
        """Share of rows that are predicted right."""
        return float(np.mean(self.predict(X) == np.asarray(y)))


class Regressor(Estimator):
    """A model of numbers."""

    def score(self, X: Any, y: Any) -> float:
        """R^2 = 1 - sum (y - prediction)^2 / sum (y - mean)^2."""
        y = np.asarray(y, dtype=float)
        spread = float(((y - y.mean()) ** 2).sum())
        if spread == 0:
            raise ValueError(f"{type(self).__name__}.score: y is constant, so R^2 is not defined")
        return 1 - float(((y - self.predict(X)) ** 2).sum()) / spread


def probabilities(model: Any, X: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """`model.predict_proba(X)` with a column for each of `classes`; 0 for those it never saw."""
    found = np.zeros((len(X), len(classes)))
    found[:, np.searchsorted(classes, model.classes_)] = model.predict_proba(X)
    return found
