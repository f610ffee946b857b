"""Covariances of a Gaussian process: how alike the values at two points are.

    k(x, z) = s^2 g(r),   r^2 = sum_i (x_i - z_i)^2 / l_i^2

with variance s^2 and a length scale l_i for each coordinate. The functions g differ in how smooth
the process is: Matern 1/2 is continuous, 3/2 has a slope, 5/2 a curvature, RBF all derivatives.
Source: Rasmussen and Williams (2006), chapter 4.
"""

from typing import ClassVar

import numpy as np

from lmbook.backend.errors import ShapeError


class Kernel:
    """A stationary covariance. `length_scale` is a number, or an array with one for each coordinate."""

    name: ClassVar[str]

    def __init__(self, length_scale: float | np.ndarray = 1.0, variance: float = 1.0) -> None:
        self.length_scale = np.atleast_1d(np.asarray(length_scale, dtype=float))
        self.variance = float(variance)
        if self.length_scale.ndim != 1 or (self.length_scale <= 0).any() or self.variance <= 0:
            raise ValueError(
                f"{type(self).__name__}: length scales and variance must be positive, not "
                f"{length_scale} and {variance}"
            )

    def __call__(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Covariances (n, m) of the points x (n, d) and z (m, d)."""
        return self.variance * self.shape_at(self.squares(x, z).sum(axis=0))

    def squares(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """(x_i - z_i)^2 / l_i^2 for each coordinate: (d, n, m)."""
        if len(self.length_scale) not in (1, x.shape[1]) or x.shape[1] != z.shape[1]:
            raise ShapeError(
                f"{type(self).__name__}: {len(self.length_scale)} length scales for points of shapes "
                f"{x.shape} and {z.shape}"
            )
        x, z = x / self.length_scale, z / self.length_scale
        return (x.T[:, :, None] - z.T[:, None, :]) ** 2

    def shape_at(self, r2: np.ndarray) -> np.ndarray:
        """g(r), given r^2."""
        raise NotImplementedError(f"{type(self).__name__} has no shape_at method: write one")

    def slope_at(self, r2: np.ndarray) -> np.ndarray:
        """-g'(r) / r, given r^2: then dg / d log l_i = slope * (x_i - z_i)^2 / l_i^2."""
        raise NotImplementedError(f"{type(self).__name__} has no slope_at method: write one")


class RBF(Kernel):
    """g = exp(-r^2 / 2)."""

    def shape_at(self, r2: np.ndarray) -> np.ndarray:
        """exp(-r^2 / 2)."""
        return np.exp(-r2 / 2)

    def slope_at(self, r2: np.ndarray) -> np.ndarray:
        """exp(-r^2 / 2)."""
        return np.exp(-r2 / 2)


class Matern(Kernel):
    """g = p(q) exp(-q), q = sqrt(2 nu) r; p = 1 for nu = 1/2, 1 + q for 3/2, 1 + q + q^2/3 for 5/2."""

    def __init__(
        self, length_scale: float | np.ndarray = 1.0, variance: float = 1.0, *, nu: float = 2.5
    ) -> None:
        super().__init__(length_scale, variance)
        if nu not in (0.5, 1.5, 2.5):
            raise ValueError(f"Matern: nu must be 0.5, 1.5 or 2.5, not {nu}")
        self.nu = nu

    def shape_at(self, r2: np.ndarray) -> np.ndarray:
        """g(r)."""
        q = np.sqrt(2 * self.nu * r2)
        polynomial = {0.5: 1, 1.5: 1 + q, 2.5: 1 + q + q * q / 3}[self.nu]
        return polynomial * np.exp(-q)

    def slope_at(self, r2: np.ndarray) -> np.ndarray:
        """-g'(r) / r."""
        q = np.sqrt(2 * self.nu * r2)
        if self.nu == 0.5:
            return np.exp(-q) / np.maximum(q, 1e-300)
        return (3 if self.nu == 1.5 else 5 / 3 * (1 + q)) * np.exp(-q)
