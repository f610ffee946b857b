"""f6 to f9: one valley or nearly so, ten to a hundred times as steep across as along."""

import numpy as np

from lmbook.optim.bbob.base import Problem, turned
from lmbook.optim.bbob.transforms import oscillate, outside, scales, spread


class AttractiveSector(Problem):
    """T_osz(sum (s_i z_i)^2)^0.9,  z = Q Lambda^10 R (x - x_opt). Steep all round but for one sector.

    s_i is 100 where z_i has the sign of x_opt_i, else 1.
    """

    id, name, group = 6, "attractive sector", "moderate"

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        z = turned(x - self.x_opt, self.Q, scales(10, self.dimension), self.R)
        s = np.where(z * self.x_opt > 0, 100, 1)
        return oscillate(((s * z) ** 2).sum(axis=-1)) ** 0.9


class StepEllipsoid(Problem):
    """0.1 max(|h_1| / 10^4, sum 10^(2 i/(n-1)) z_i^2) + f_pen: a terrace, and no slope but on a tiny core.

    h = Lambda^10 R (x - x_opt);   z = Q g
    g_i = floor(1/2 + h_i) where |h_i| > 1/2, else floor(1/2 + 10 h_i) / 10
    """

    id, name, group = 7, "step ellipsoid", "moderate"

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        h = turned(x - self.x_opt, self.Q, scales(10, self.dimension))
        g = np.where(np.abs(h) > 0.5, np.floor(0.5 + h), np.floor(0.5 + 10 * h) / 10)
        z = turned(g, self.R)
        terrace = (100 ** spread(self.dimension) * z * z).sum(axis=-1)
        return 0.1 * np.maximum(np.abs(h[..., 0]) / 1e4, terrace) + outside(x)


def rosenbrock_terms(z: np.ndarray) -> np.ndarray:
    """100 (z_i^2 - z_{i+1})^2 + (z_i - 1)^2 for i = 1 to n - 1, shape (..., n - 1)."""
    a, b = z[..., :-1], z[..., 1:]
    return 100 * (a * a - b) ** 2 + (a - 1) ** 2


class Rosenbrock(Problem):
    """Rosenbrock's bent valley, of z = max(1, sqrt(n) / 8) (x - x_opt) + 1."""

    id, name, group = 8, "Rosenbrock", "moderate"

    def setup(self) -> None:
        """Draw the optimum towards the centre by 3/4."""
        self.x_opt = 0.75 * self.x_opt

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        z = max(1, self.dimension**0.5 / 8) * (x - self.x_opt) + 1
        return rosenbrock_terms(z).sum(axis=-1)


class RosenbrockRotated(Problem):
    """Rosenbrock's bent valley, of z = max(1, sqrt(n) / 8) Q x + 1/2."""

    id, name, group = 9, "Rosenbrock, rotated", "moderate"

    def setup(self) -> None:
        """Find the optimum: the point that Q and the scale take to z = 1."""
        self.scale = max(1, self.dimension**0.5 / 8)
        self.x_opt = self.Q.T @ np.full(self.dimension, 0.5) / self.scale

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        return rosenbrock_terms(self.scale * turned(x, self.Q) + 0.5).sum(axis=-1)
