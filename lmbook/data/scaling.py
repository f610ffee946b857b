"""Columns of numbers on one scale: learned from the training part, applied to every part."""

from typing import ClassVar

import numpy as np


class _Scaler:
    """What the two scalers share: x -> (x - offset) * factor, column by column."""

    offset: np.ndarray
    factor: np.ndarray
    _name: ClassVar[str] = "_Scaler"

    def _table(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 2:
            raise ValueError(f"{self._name}: want a table (rows, columns), got shape {x.shape}")
        return x

    def _training(self, x: np.ndarray) -> np.ndarray:
        x = self._table(x)
        if not len(x):
            raise ValueError(f"{self._name}.fit: no rows to learn from, shape {x.shape}")
        if not np.isfinite(x).all():
            raise ValueError(
                f"{self._name}.fit: columns {np.flatnonzero(~np.isfinite(x).all(axis=0)).tolist()} "
                "hold NaN or infinity; fill or drop these rows first"
            )
        return x

    def _fitted(self, x: np.ndarray) -> np.ndarray:
        if not hasattr(self, "factor"):
            raise ValueError(f"{self._name}: call fit on the training part first")
        x = self._table(x)
        if x.shape[1] != len(self.factor):
            raise ValueError(
                f"{self._name}: fitted on {len(self.factor)} columns, got {x.shape[1]}"
            )
        return x

    def transform(self, x: np.ndarray) -> np.ndarray:
        """The table scaled, float64, same shape; no statistic of `x` itself is used."""
        return (self._fitted(x) - self.offset) * self.factor

    def inverse_transform(self, x: np.ndarray) -> np.ndarray:
        """The table in the original units."""
        return self._fitted(x) / self.factor + self.offset


class StandardScaler(_Scaler):
    """z-score: (x - mean) / std, with the training part's mean and (population) deviation.

    A column that is constant in training is only centred. As scikit-learn's class of that name.
    """

    _name = "StandardScaler"

    def fit(self, x: np.ndarray) -> "StandardScaler":
        """Learn mean and deviation of each column of `x`, shape (rows, columns)."""
        x = self._training(x)
        self.offset = x.mean(axis=0)
        deviation = x.std(axis=0)
        constant = (x == x[0]).all(axis=0)
        self.factor = 1 / np.where(constant | (deviation == 0), 1.0, deviation)
        return self


class MinMaxScaler(_Scaler):
    """The training part's range onto `feature_range`: low + (x - min) / (max - min) (high - low).

    Test values outside the training range land outside `feature_range`. A constant column is only
    moved. As scikit-learn's class of that name.
    """

    _name = "MinMaxScaler"

    def __init__(self, feature_range: tuple[float, float] = (0, 1)) -> None:
        self.feature_range = feature_range
        if not feature_range[0] < feature_range[1]:
            raise ValueError(f"MinMaxScaler: range {feature_range} must go from low to high")

    def fit(self, x: np.ndarray) -> "MinMaxScaler":
        """Learn smallest and largest value of each column of `x`, shape (rows, columns)."""
        x = self._training(x)
        low, high = self.feature_range
        smallest = x.min(axis=0)
        width = x.max(axis=0) - smallest
        self.factor = (high - low) / np.where(width == 0, 1.0, width)
        self.offset = smallest - low / self.factor
        return self


def condition_number(x: np.ndarray) -> float:
    """κ of X^T X: the largest squared singular value of X over the smallest.

    Gradient descent on |X w - y|^2 with its best fixed step shrinks the error by the factor
    (κ - 1) / (κ + 1) in a step, so that a digit takes about 1.15 κ steps.
    """
    singular = np.linalg.svd(np.asarray(x, dtype=np.float64), compute_uv=False)
    return float((singular[0] / singular[-1]) ** 2) if singular[-1] > 0 else float("inf")
