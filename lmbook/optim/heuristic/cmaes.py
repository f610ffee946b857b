"""CMA-ES: a normal distribution that learns where steps have paid, and how long they may be."""

from math import exp, lgamma
from typing import Any

import numpy as np

from lmbook.optim.heuristic.base import Heuristic, Seed, needs
from lmbook.optim.heuristic.space import Real


class CMAES(Heuristic):
    """Sample x_i = m + sigma y_i, y_i ~ N(0, C); sort by value; with weights w_i:

        m     <- m + sigma sum_{i <= mu} w_i y_i                       =: m + sigma y
        p_s   <- (1 - c_s) p_s + sqrt(c_s (2 - c_s) mu_eff) C^(-1/2) y
        sigma <- sigma exp(min(1, c_s / d_s (|p_s| / E|N(0, I)| - 1)))
        p_c   <- (1 - c_c) p_c + h sqrt(c_c (2 - c_c) mu_eff) y
        C     <- (1 - c_1 - c_mu sum w_j + (1 - h) c_1 c_c (2 - c_c)) C + c_1 p_c p_c' + c_mu sum w_j y_j y_j'

    h is 0 while p_s is long, else 1. `active` gives the worse half negative weights, each scaled by
    size / |C^(-1/2) y_j|^2. `x0` (size,) is the first mean, `sigma` the first step. With bounds, points are
    handed out clipped, and the distance to the unclipped sample counts against it. Source: Hansen 2016,
    The CMA Evolution Strategy: A Tutorial, with the tutorial's constants.
    """

    def __init__(
        self,
        space: Real,
        x0: Any,
        sigma: float,
        popsize: int | None = None,
        *,
        active: bool = True,
        seed: Seed = None,
    ) -> None:
        n = space.size
        popsize = 4 + int(3 * np.log(n)) if popsize is None else popsize
        super().__init__(space, popsize, seed, least=3)
        needs(self, space, "real")
        if not 0 < sigma < np.inf:
            raise ValueError(f"CMAES: sigma must be above 0, not {sigma}")
        self.box = space
        self.mean = space.check(x0, "CMAES: x0")[0]
        self.sigma = float(sigma)
        self._set_constants(n, active)
        self.C = np.eye(n)
        self.B, self.D = np.eye(n), np.ones(n)  # C = B diag(D^2) B'
        self.p_s, self.p_c = np.zeros(n), np.zeros(n)
        self._decomposed = 0

    def _set_constants(self, n: int, active: bool) -> None:
        w = np.log((self.popsize + 1) / 2) - np.log(np.arange(1, self.popsize + 1))
        self.mu = int((w > 0).sum())
        good, bad = w[: self.mu], w[self.mu :]
        self.mu_eff = good.sum() ** 2 / (good**2).sum()
        m = self.mu_eff
        self.c_s = (m + 2) / (n + m + 5)
        self.d_s = 1 + 2 * max(0.0, np.sqrt((m - 1) / (n + 1)) - 1) + self.c_s
        self.c_c = (4 + m / n) / (n + 4 + 2 * m / n)
        self.c_1 = 2 / ((n + 1.3) ** 2 + m)
        self.c_mu = min(1 - self.c_1, 2 * (m - 1.75 + 1 / m) / ((n + 2) ** 2 + m))
        self.expected_length = np.sqrt(2) * exp(lgamma((n + 1) / 2) - lgamma(n / 2))
        m_bad = bad.sum() ** 2 / max((bad**2).sum(), 1e-300)
        room = min(
            1 + self.c_1 / self.c_mu,
            1 + 2 * m_bad / (m + 2),
            (1 - self.c_1 - self.c_mu) / (n * self.c_mu),
        )
        total_bad = max(-bad.sum(), 1e-300)
        self.weights = np.concatenate(
            [good / good.sum(), (room if active else 0) * bad / total_bad]
        )

    def _ask(self) -> np.ndarray:
        self._decompose()
        z = self.rng.standard_normal((self.popsize, self.space.size))
        self.sampled = self.mean + self.sigma * (z * self.D) @ self.B.T
        return self.box.clip(self.sampled)

    def _tell(self, x: np.ndarray, values: np.ndarray) -> None:
        outside = ((self.sampled - x) ** 2).sum(axis=1) / self.sigma**2
        if (
            outside.any()
        ):  # measured in the middle spread of the values, so that units do not matter
            spread = np.subtract(*np.percentile(values, [75, 25]))
            values = values + (spread + np.finfo(float).tiny) * outside
        self.update(self.sampled[np.argsort(values, kind="stable")])

    def update(self, x: np.ndarray) -> None:
        """The five lines above, for samples (popsize, size) that are sorted, the best first."""
        y = (x - self.mean) / self.sigma
        step = self.weights[: self.mu] @ y[: self.mu]
        self.mean = self.mean + self.sigma * step

        c = self.c_s
        self.p_s = (1 - c) * self.p_s + np.sqrt(c * (2 - c) * self.mu_eff) * self._whiten(step)
        length = np.linalg.norm(self.p_s) / np.sqrt(1 - (1 - c) ** (2 * max(self.generation, 1)))
        h = float(length**2 / len(step) < 2 + 4 / (len(step) + 1))

        c = self.c_c
        self.p_c = (1 - c) * self.p_c + h * np.sqrt(c * (2 - c) * self.mu_eff) * step
        w = self.weights.copy()
        negative = w < 0
        w[negative] *= len(step) / ((self._whiten(y[negative]) ** 2).sum(axis=1) + 1e-12)
        keep = 1 - self.c_1 - self.c_mu * self.weights.sum() + (1 - h) * self.c_1 * c * (2 - c)
        self.C = keep * self.C + self.c_1 * np.outer(self.p_c, self.p_c) + self.c_mu * (y.T * w) @ y

        grow = self.c_s / self.d_s * (np.linalg.norm(self.p_s) / self.expected_length - 1)
        self.sigma *= float(np.exp(min(1.0, grow)))

    def _whiten(self, y: np.ndarray) -> np.ndarray:
        """C^(-1/2) y, for one vector or for rows."""
        return (y @ self.B / self.D) @ self.B.T

    def _decompose(self) -> None:
        """B and D from C; in high dimension only every few generations, for it costs size^3."""
        pause = 1 / (self.c_1 + self.c_mu) / self.space.size / 10
        if self.generation and self.generation - self._decomposed < pause:
            return
        self._decomposed = self.generation
        self.C = (self.C + self.C.T) / 2
        squares, self.B = np.linalg.eigh(self.C)
        self.D = np.sqrt(np.maximum(squares, squares.max() * 1e-20))
