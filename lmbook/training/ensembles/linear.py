"""Two small linear models, which stacking puts on top: ridge and logistic regression."""

from typing import Any, Self

import numpy as np

from lmbook.training.ensembles.estimator import Classifier, Regressor, at_least


class Ridge(Regressor):
    """Minimises sum w (y - X coef - intercept)^2 + alpha |coef|^2; the intercept is not shrunk."""

    _made = "coef_"

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Solve for X (N, D) and numbers y (N,)."""
        at_least("Ridge", 0, alpha=self.alpha)
        X, y, w = self._training(X, y, sample_weight)
        middle, level = np.average(X, axis=0, weights=w), np.average(y, weights=w)
        root = np.sqrt(w)[:, None]
        A, b = (X - middle) * root, (y - level) * root[:, 0]
        wide = np.vstack([A, np.sqrt(self.alpha) * np.eye(X.shape[1])])
        self.coef_ = np.linalg.lstsq(wide, np.append(b, np.zeros(X.shape[1])), rcond=None)[0]
        self.intercept_ = float(level - middle @ self.coef_)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """X coef + intercept, (N,)."""
        return self._inputs(X, "predict") @ self.coef_ + self.intercept_


class LogisticRegression(Classifier):
    """Minimises C sum w log loss + |coef|^2 / 2 by Newton's method; the intercept is not shrunk.

    Two classes have one row of coefficients and a sigmoid, more have K rows and softmax. `coef_` is
    (1 or K, D), `intercept_` (1 or K,), `n_iter_` the number of Newton steps. Scale the features first.
    """

    _made = "coef_"

    def __init__(self, C: float = 1.0, *, tol: float = 1e-8, max_iter: int = 100) -> None:
        self.C, self.tol, self.max_iter = C, tol, max_iter

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to X (N, D) and classes y (N,)."""
        at_least("LogisticRegression", 1, max_iter=self.max_iter)
        if not self.C > 0:
            raise ValueError(f"LogisticRegression: C must be above 0, not {self.C}")
        X, y, w = self._training(X, y, sample_weight)
        codes, k = self._classes(y, least=2), len(self.classes_)
        targets = codes[:, None] * 1.0 if k == 2 else np.eye(k)[codes]
        A = np.hstack([X, np.ones((len(X), 1))])
        shrink = np.append(
            np.full(X.shape[1], 1 / self.C), 1e-10
        )  # settles what softmax leaves open
        B = np.zeros((targets.shape[1], A.shape[1]))
        value = self._value(A, targets, w, shrink, B)
        for step_number in range(1, self.max_iter + 1):
            self.n_iter_ = step_number
            slope, curvature = self._derivatives(A, targets, w, shrink, B)
            step = np.linalg.solve(curvature, slope.ravel()).reshape(B.shape)
            fall, size = float((slope * step).sum()), 1.0
            while (
                new := self._value(A, targets, w, shrink, B - size * step)
            ) > value - 1e-4 * size * fall:
                size /= 2
                if size < 1e-10:
                    break
            B, value = B - size * step, new
            if fall < self.tol * max(1.0, abs(value)):
                break
        else:
            raise ArithmeticError(
                f"LogisticRegression.fit: no end after {self.max_iter} Newton steps; "
                "scale the features or lower C"
            )
        self.coef_, self.intercept_ = B[:, :-1], B[:, -1]
        return self

    def _value(
        self, A: np.ndarray, targets: np.ndarray, w: np.ndarray, shrink: np.ndarray, B: np.ndarray
    ) -> float:
        F = A @ B.T
        if F.shape[1] == 1:
            losses = np.logaddexp(0, F) - targets * F
        else:
            losses = np.logaddexp.reduce(F, axis=1, keepdims=True) - (targets * F).sum(
                axis=1, keepdims=True
            )
        return float((w * losses[:, 0]).sum() + 0.5 * (shrink * B * B).sum())

    def _derivatives(
        self, A: np.ndarray, targets: np.ndarray, w: np.ndarray, shrink: np.ndarray, B: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gradient (K', D + 1) and Hessian (K' (D + 1), K' (D + 1))."""
        p, d = _squash(A @ B.T), A.shape[1]
        p = p[:, -targets.shape[1] :]
        slope = ((p - targets) * w[:, None]).T @ A + shrink * B
        rows = [
            [(A.T * (w * p[:, i] * ((i == j) - p[:, j]))) @ A for j in range(len(B))]
            for i in range(len(B))
        ]
        return slope, np.block(rows) + np.diag(np.tile(shrink, len(B))).reshape(len(B) * d, -1)

    def decision_function(self, X: Any) -> np.ndarray:
        """Log-odds (N,) for two classes, else the scores (N, K) that softmax takes."""
        F = self._inputs(X, "decision_function") @ self.coef_.T + self.intercept_
        return F[:, 0] if len(self.classes_) == 2 else F

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities, (N, K)."""
        return _squash(self._inputs(X, "predict_proba") @ self.coef_.T + self.intercept_)


def _squash(F: np.ndarray) -> np.ndarray:
    """Probabilities (N, K) from log-odds (N, 1) or scores (N, K)."""
    if F.shape[1] == 1:
        F = np.hstack([np.zeros_like(F), F])
    e = np.exp(F - F.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
