"""f10 to f14: one valley, up to a million times as steep across as along, and turned."""

import numpy as np

from lmbook.optim.bbob.base import Problem, turned
from lmbook.optim.bbob.generator import optimum
from lmbook.optim.bbob.transforms import asymmetric, oscillate, scales, spread


class Ellipsoid(Problem):
    """sum 10^(6 i/(n-1)) z_i^2,  z = T_osz(R (x - x_opt))."""

    id, name, group = 10, "ellipsoid", "conditioned"

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        z = oscillate(turned(x - self.x_opt, self.R))
        return (10 ** (6 * spread(self.dimension)) * z * z).sum(axis=-1)


class Discus(Problem):
    """10^6 z_1^2 + sum_{i>1} z_i^2,  z = T_osz(R (x - x_opt)). One direction is a thousand times as short."""

    id, name, group = 11, "discus", "conditioned"

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        z = oscillate(turned(x - self.x_opt, self.R))
        return (z * z).sum(axis=-1) + (1e6 - 1) * z[..., 0] ** 2


class BentCigar(Problem):
    """z_1^2 + 10^6 sum_{i>1} z_i^2,  z = R T_asy^0.5(R (x - x_opt)). A ridge that bends."""

    id, name, group = 12, "bent cigar", "conditioned"

    def setup(self) -> None:
        """Draw the optimum from a seed of its own."""
        self.x_opt = optimum(self.seed + 1000000, self.dimension)

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        z = turned(asymmetric(turned(x - self.x_opt, self.R), 0.5), self.R)
        return 1e6 * (z * z).sum(axis=-1) - (1e6 - 1) * z[..., 0] ** 2


class SharpRidge(Problem):
    """z_1^2 + 100 sqrt(sum_{i>1} z_i^2),  z = Q Lambda^10 R (x - x_opt). Not smooth along the ridge."""

    id, name, group = 13, "sharp ridge", "conditioned"

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        z = turned(x - self.x_opt, self.Q, scales(10, self.dimension), self.R)
        return z[..., 0] ** 2 + 100 * np.sqrt((z[..., 1:] ** 2).sum(axis=-1))


class DifferentPowers(Problem):
    """sqrt(sum |z_i|^(2 + 4 i/(n-1))),  z = R (x - x_opt). Ever worse conditioned near the optimum."""

    id, name, group = 14, "different powers", "conditioned"

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        z = turned(x - self.x_opt, self.R)
        return np.sqrt((np.abs(z) ** (2 + 4 * spread(self.dimension))).sum(axis=-1))
