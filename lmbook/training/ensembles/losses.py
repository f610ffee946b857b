"""What gradient boosting descends: a loss, its best constant, its slope and its curvature."""

from typing import Protocol

import numpy as np


class Loss(Protocol):
    """Targets and F (`raw`) are (N, K'); K' is 1 for numbers and for two classes, else K."""

    def start(self, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The constant F of least loss, (K',)."""

    def residual(self, targets: np.ndarray, raw: np.ndarray) -> np.ndarray:
        """The negative gradient, (N, K')."""

    def curvature(self, targets: np.ndarray, raw: np.ndarray) -> np.ndarray:
        """What a leaf's sum of residuals is divided by, each row's part, (N, K')."""

    def value(self, targets: np.ndarray, raw: np.ndarray, weights: np.ndarray) -> float:
        """The mean loss."""

    def probabilities(self, raw: np.ndarray) -> np.ndarray:
        """Class probabilities, (N, K)."""


class SquaredError:
    """(y - F)^2; its slope is taken without the factor 2."""

    def start(self, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The mean."""
        return np.average(targets, axis=0, weights=weights)

    def residual(self, targets: np.ndarray, raw: np.ndarray) -> np.ndarray:
        """y - F."""
        return targets - raw

    def curvature(self, targets: np.ndarray, raw: np.ndarray) -> np.ndarray:
        """1: a leaf's value is the mean of its residuals."""
        return np.ones_like(raw)

    def value(self, targets: np.ndarray, raw: np.ndarray, weights: np.ndarray) -> float:
        """Mean squared error."""
        return float(np.average((targets - raw)[:, 0] ** 2, weights=weights))

    def probabilities(self, raw: np.ndarray) -> np.ndarray:
        """There are none."""
        raise TypeError("SquaredError.probabilities: a regression has no classes")


class LogLoss:
    """- log p of the right class; p is the sigmoid of F for two classes, softmax of F for more."""

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def start(self, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The log-odds of the classes' shares, or their logarithms."""
        share = np.average(targets, axis=0, weights=weights)
        return np.log(share / (1 - share)) if self.classes == 2 else np.log(share)

    def probabilities(self, raw: np.ndarray) -> np.ndarray:
        """Sigmoid or softmax of F, (N, K)."""
        F = np.hstack([np.zeros_like(raw), raw]) if self.classes == 2 else raw
        e = np.exp(F - F.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def residual(self, targets: np.ndarray, raw: np.ndarray) -> np.ndarray:
        """y - p."""
        return targets - self.probabilities(raw)[:, -raw.shape[1] :]

    def curvature(self, targets: np.ndarray, raw: np.ndarray) -> np.ndarray:
        """p (1 - p), and K / (K - 1) times that for K > 2: the diagonal of the Hessian, as K - 1 of
        the K functions are free (Friedman 2001, algorithm 6)."""
        p = self.probabilities(raw)[:, -raw.shape[1] :]
        k = self.classes
        return p * (1 - p) * (1 if k == 2 else k / (k - 1))

    def value(self, targets: np.ndarray, raw: np.ndarray, weights: np.ndarray) -> float:
        """Mean of - log p of the right class."""
        F = np.hstack([np.zeros_like(raw), raw]) if self.classes == 2 else raw
        right = targets[:, 0] * F[:, 1] if self.classes == 2 else (targets * F).sum(axis=1)
        top = F.max(axis=1)
        losses = top + np.log(np.exp(F - top[:, None]).sum(axis=1)) - right
        return float(np.average(losses, weights=weights))
