"""f1 to f5: each coordinate has a best value of its own."""

import numpy as np

from lmbook.optim.bbob.base import Problem
from lmbook.optim.bbob.transforms import asymmetric, oscillate, outside, scales, spread


class Sphere(Problem):
    """|z|^2,  z = x - x_opt. One round valley."""

    id, name, group = 1, "sphere", "separable"

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        return ((x - self.x_opt) ** 2).sum(axis=-1)


class EllipsoidSeparable(Problem):
    """sum 10^(6 i/(n-1)) z_i^2,  z = T_osz(x - x_opt). A valley a thousand times as long as wide."""

    id, name, group = 2, "ellipsoid, separable", "separable"

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        z = oscillate(x - self.x_opt)
        return (10 ** (6 * spread(self.dimension)) * z * z).sum(axis=-1)


def rastrigin(z: np.ndarray) -> np.ndarray:
    """10 (n - sum cos 2 pi z_i) + |z|^2: about 10^n valleys on a bowl."""
    return (10 * (1 - np.cos(2 * np.pi * z)) + z * z).sum(axis=-1)


class RastriginSeparable(Problem):
    """Rastrigin's function of z = Lambda^10 T_asy^0.2(T_osz(x - x_opt))."""

    id, name, group = 3, "Rastrigin, separable", "separable"

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        z = asymmetric(oscillate(x - self.x_opt), 0.2)
        return rastrigin(scales(10, self.dimension) * z)


class BucheRastrigin(Problem):
    """Rastrigin's function of z_i = s_i T_osz(x - x_opt)_i, plus 100 f_pen.

    s_i is 10^(i/(2(n-1))), and ten times that in the first, third, ... coordinate where z_i > 0: on that side
    the valleys lie closer together than anywhere else, and the slope misleads.
    """

    id, name, group, family = 4, "Bueche-Rastrigin", "separable", 3

    def setup(self) -> None:
        """Move every other coordinate of the optimum to the positive side, where it is steep."""
        self.x_opt[::2] = np.abs(self.x_opt[::2])

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        z = oscillate(x - self.x_opt)
        steep = z > 0
        steep[..., 1::2] = False
        z = scales(10, self.dimension) * z * np.where(steep, 10, 1)
        return rastrigin(z) + 100 * outside(x)


class LinearSlope(Problem):
    """sum 5 |s_i| - s_i z_i,  s_i = sign(x_opt_i) 10^(i/(n-1)); the optimum is a corner, and all beyond it.

    z_i is x_i, but no further than the corner.
    """

    id, name, group = 5, "linear slope", "separable"

    def setup(self) -> None:
        """Move the optimum to a corner, and take the slopes from its signs."""
        self.x_opt = 5 * np.sign(self.x_opt)
        self.slope = np.sign(self.x_opt) * 10 ** spread(self.dimension)

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        z = np.where(self.x_opt * x < 25, x, self.x_opt)
        return (5 * np.abs(self.slope) - self.slope * z).sum(axis=-1)
