"""f15 to f19: many valleys, and an overall slope that leads to the best."""

import numpy as np

from lmbook.optim.bbob.base import Problem, turned
from lmbook.optim.bbob.moderate import rosenbrock_terms
from lmbook.optim.bbob.separable import rastrigin
from lmbook.optim.bbob.transforms import asymmetric, oscillate, outside, scales


class Rastrigin(Problem):
    """Rastrigin's function of z = R Lambda^10 Q T_asy^0.2(T_osz(R (x - x_opt)))."""

    id, name, group = 15, "Rastrigin", "structured"

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        z = asymmetric(oscillate(turned(x - self.x_opt, self.R)), 0.2)
        return rastrigin(turned(z, self.Q, scales(10, self.dimension), self.R))


class Weierstrass(Problem):
    """10 (mean_i sum_{k<12} 2^-k cos(2 pi 3^k (z_i + 1/2)) - f_0)^3 + 10/n f_pen: rough at every scale.

    z = R Lambda^(1/100) Q T_osz(R (x - x_opt)), and f_0 = sum 2^-k cos(pi 3^k) is the least of the sums.
    """

    id, name, group = 16, "Weierstrass", "structured"

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        z = oscillate(turned(x - self.x_opt, self.R))
        z = turned(z, self.Q, scales(0.01, self.dimension), self.R)
        k = np.arange(12)
        waves = np.cos(2 * np.pi * 3.0**k * (z[..., None] + 0.5)) @ 0.5**k
        least = (0.5**k * np.cos(np.pi * 3.0**k)).sum()
        return 10 * (waves.mean(axis=-1) - least) ** 3 + 10 / self.dimension * outside(x)


class Schaffer(Problem):
    """(mean_i sqrt(s_i) (1 + sin^2(50 s_i^(1/5))))^2 + 10 f_pen,  s_i = |(z_i, z_{i+1})|.

    z = Lambda^10 Q T_asy^0.5(R (x - x_opt)). Waves that grow shorter and higher away from the optimum.
    """

    id, name, group = 17, "Schaffer", "structured"
    condition = 10.0

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        z = asymmetric(turned(x - self.x_opt, self.R), 0.5)
        z = turned(z, self.Q, scales(self.condition, self.dimension))
        s = z[..., :-1] ** 2 + z[..., 1:] ** 2  # s_i^2
        waves = s**0.25 * (1 + np.sin(50 * s**0.1) ** 2)
        return waves.mean(axis=-1) ** 2 + 10 * outside(x)


class SchafferConditioned(Schaffer):
    """f17 with Lambda^1000: a hundred times as badly conditioned."""

    id, name, group, family = 18, "Schaffer, ill-conditioned", "structured", 17
    condition = 1000.0


class GriewankRosenbrock(Problem):
    """10 mean_i (s_i / 4000 - cos s_i) + 10, with Rosenbrock's terms s_i of max(1, sqrt(n)/8) Q x + 1/2."""

    id, name, group = 19, "Griewank-Rosenbrock", "structured"

    def setup(self) -> None:
        """Find the optimum: the point that Q and the scale take to z = 1."""
        self.scale = max(1, self.dimension**0.5 / 8)
        self.x_opt = self.Q.T @ np.full(self.dimension, 0.5) / self.scale

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        s = rosenbrock_terms(self.scale * turned(x, self.Q) + 0.5)
        return 10 + 10 * (s / 4000 - np.cos(s)).mean(axis=-1)
