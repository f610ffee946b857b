"""A Gaussian process: a mean and a doubt for every point, from the points that are known.

    y = f(x) + noise,   f ~ GP(0, k),   K = k(X, X) + noise I
    mean(x)     = k(x, X) K^-1 y
    variance(x) = k(x, x) - k(x, X) K^-1 k(X, x)
    log p(y)    = -1/2 y^T K^-1 y - 1/2 log det K - n/2 log 2 pi

The last, the marginal likelihood, says how well a kernel's constants explain the data, with no
test set; `fit` climbs it. Source: Rasmussen and Williams (2006), algorithm 2.1 and section 5.4.
"""

import math
from copy import deepcopy

import numpy as np

from lmbook.backend.errors import NonFiniteError, ShapeError
from lmbook.training.search.climb import minimise
from lmbook.training.search.kernels import Kernel, Matern

Prior = tuple[np.ndarray, np.ndarray]


class GaussianProcess:
    """Regression with a kernel. Values are centred and scaled first, unless `normalise` is False.

    The constants are theta = log (variance, length scales, noise); `prior` is a mean and a deviation
    for each entry of theta, Gaussian, and makes `fit` find the most probable theta. `noise` is the
    variance of the noise, relative to the normalised values; `least_noise` bounds it in `fit`.
    """

    def __init__(
        self,
        kernel: Kernel | None = None,
        noise: float = 1e-6,
        *,
        normalise: bool = True,
        prior: Prior | None = None,
        least_noise: float = 1e-8,
    ) -> None:
        if noise <= 0 or least_noise <= 0:
            raise ValueError(f"GaussianProcess: noise must be positive, not {noise}, {least_noise}")
        self.kernel = deepcopy(kernel) if kernel is not None else Matern()
        self.noise, self.normalise, self.prior = float(noise), normalise, prior
        self.least_noise = least_noise

    def fit(
        self, x: np.ndarray, y: np.ndarray, *, optimise: bool = True, starts: int = 1
    ) -> "GaussianProcess":
        """Take in the points x (n, d) and their values y (n,); with `optimise` fit theta as well.

        `starts` above 1 climbs also from that many minus one random places.
        """
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        if x.ndim != 2 or y.shape != (len(x),) or not len(x):
            raise ShapeError(
                f"GaussianProcess.fit: want points (n, d) and values (n,), got {x.shape} and {y.shape}"
            )
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise NonFiniteError("GaussianProcess.fit: a point or a value is NaN or infinite")
        self.offset = float(y.mean()) if self.normalise else 0.0
        self.scale = (float(y.std()) or 1.0) if self.normalise else 1.0
        self.x, self.y = x, (y - self.offset) / self.scale
        if optimise:
            self._climb(starts)
        self._solve()
        return self

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of f (without noise) at x (m, d): two arrays (m,)."""
        if not hasattr(self, "root"):
            raise ValueError("GaussianProcess: call fit first")
        x = np.asarray(x, dtype=float)
        across = self.kernel(x, self.x)
        spread = across @ self.root  # k(x, X) L^-T
        variance = np.maximum(self.kernel.variance - (spread**2).sum(axis=1), 1e-20)
        return self.offset + self.scale * (across @ self.weights), self.scale * np.sqrt(variance)

    def sample(self, x: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """`count` functions drawn from the posterior, at the points x (m, d): (count, m)."""
        mean, _ = self.predict(x)
        spread = self.kernel(x, self.x) @ self.root
        covariance = self.kernel(x, x) - spread @ spread.T
        root = np.linalg.cholesky(covariance + 1e-9 * self.kernel.variance * np.eye(len(x)))
        return mean + self.scale * rng.standard_normal((count, len(x))) @ root.T

    @property
    def theta(self) -> np.ndarray:
        """log (variance, length scales, noise)."""
        return np.log([self.kernel.variance, *self.kernel.length_scale, self.noise])

    @theta.setter
    def theta(self, value: np.ndarray) -> None:
        variance, *scales, noise = np.exp(value)
        self.kernel.variance, self.noise = float(variance), float(noise)
        self.kernel.length_scale = np.array(scales)

    def log_marginal_likelihood(self, theta: np.ndarray | None = None) -> tuple[float, np.ndarray]:
        """log p(y) of the (normalised) values, and its gradient by theta."""
        if theta is not None:
            self.theta = theta
        squares = self.kernel.squares(self.x, self.x)  # (d, n, n)
        r2, variance = squares.sum(axis=0), self.kernel.variance
        covariance = variance * self.kernel.shape_at(r2)
        n = len(self.x)
        lower = np.linalg.cholesky(covariance + self.noise * np.eye(n))
        half = np.linalg.inv(lower)
        inverse = half.T @ half
        weights = inverse @ self.y
        value = (
            -0.5 * self.y @ weights - np.log(np.diag(lower)).sum() - n / 2 * math.log(2 * math.pi)
        )
        outer = np.outer(weights, weights) - inverse  # dp/dK, times 2
        slope = variance * self.kernel.slope_at(r2) * outer
        by_scale = np.einsum("ij,dij->d", slope, squares)
        if len(self.kernel.length_scale) == 1:
            by_scale = by_scale.sum(keepdims=True)
        gradient = [(outer * covariance).sum(), *by_scale, self.noise * np.trace(outer)]
        return float(value), 0.5 * np.array(gradient)

    def _climb(self, starts: int) -> None:
        first = self.theta
        low = np.full(len(first), math.log(1e-4))
        high = np.full(len(first), math.log(1e4))
        low[-1], high[-1] = math.log(self.least_noise), math.log(10.0)
        random = np.random.default_rng(len(self.x))
        places = [first, *(random.uniform(low / 3, high / 3) for _ in range(starts - 1))]
        best, least = first, np.inf
        for start in places:
            found, value = minimise(self._loss, np.clip(start, low, high), low, high)
            if value < least:
                best, least = found, value
        self.theta = best

    def _loss(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        try:
            value, gradient = self.log_marginal_likelihood(theta)
        except np.linalg.LinAlgError:  # not positive definite in floating point: a wall
            return np.inf, np.zeros_like(theta)
        if self.prior is not None:
            mean, deviation = self.prior
            z = (theta - mean) / deviation
            value, gradient = value - 0.5 * float(z @ z), gradient - z / deviation
        return -value, -gradient

    def _solve(self) -> None:
        covariance = self.kernel(self.x, self.x)
        for jitter in (0.0, 1e-10, 1e-8, 1e-6):
            try:
                lower = np.linalg.cholesky(
                    covariance + (self.noise + jitter * self.kernel.variance) * np.eye(len(self.x))
                )
                break
            except np.linalg.LinAlgError:
                continue
        else:
            raise np.linalg.LinAlgError(
                "GaussianProcess: points too near each other for so little noise; raise noise"
            )
        self.root = np.linalg.inv(lower).T  # K^-1 = root root^T
        self.weights = self.root @ (self.root.T @ self.y)
