"""f20 to f24: many valleys, and nothing that tells from afar which is best."""

import numpy as np

from lmbook.optim.bbob.base import Problem, turned
from lmbook.optim.bbob.generator import gauss, uniform
from lmbook.optim.bbob.transforms import oscillate, outside, scales, spread


class Schwefel(Problem):
    """-mean_i z_i sin(sqrt|z_i|) / 100 + 4.1898 + 100 f_pen(z / 100): the second best valley is far away.

    u_i = 2 s_i x_i,  s the signs of x_opt;   v_1 = u_1,   v_{i+1} = u_{i+1} + (u_i - 2 |x_opt_i|) / 4
    z = 100 (Lambda^10 (v - 2 |x_opt|) + 2 |x_opt|)
    """

    id, name, group = 20, "Schwefel", "weak"

    def setup(self) -> None:
        """Draw signs; the optimum is 4.2096874633 / 2 times them."""
        self.signs = np.where(uniform(self.dimension, self.seed) < 0.5, -1.0, 1.0)
        self.x_opt = self.signs * 4.2096874633 / 2

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        u = 2 * self.signs * x
        best = 2 * np.abs(self.x_opt)
        v = u.copy()
        v[..., 1:] += 0.25 * (u[..., :-1] - best[:-1])
        z = 100 * (scales(10, self.dimension) * (v - best) + best)
        waves = -(z * np.sin(np.sqrt(np.abs(z)))).mean(axis=-1) / 100 + 4.189828872724339
        return waves + 100 * outside(z / 100)


class Gallagher101(Problem):
    """T_osz(10 - max_i w_i exp(-(x - y_i)' R' C_i R (x - y_i) / 2n))^2 + f_pen: 101 peaks at random places.

    The best has w = 10 and the others 1.1 to 9.1; C_i is diagonal with condition 1 to 10^6, in random order.
    """

    id, name, group = 21, "Gallagher, 101 peaks", "weak"
    peaks, nearest, condition = 101, 0.8, 1000.0
    width, low = 10.0, -5.0

    def setup(self) -> None:
        """Draw heights, conditions and places of the peaks; the first peak is the optimum."""
        n, m = self.dimension, self.peaks
        self.w = np.concatenate([[10], np.linspace(1.1, 9.1, m - 1)])
        others = 1000 ** np.linspace(0, 2, m - 1)
        drawn = others[np.argsort(uniform(m - 1, self.seed), kind="stable")]
        alpha = np.concatenate([[self.condition], drawn])
        order = [np.argsort(uniform(n, self.seed + 1000 * i), kind="stable") for i in range(m)]
        diagonals = alpha[:, None] ** (spread(n) / 2 - 0.25)  # Lambda^alpha / alpha^(1/4)
        self.C = np.take_along_axis(diagonals, np.array(order), axis=1)
        places = self.width * uniform(n * m, self.seed).reshape(m, n) + self.low
        places[0] *= self.nearest
        self.x_opt = places[0].copy()
        self.peak = turned(places, self.Q)

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        # sum_j C_ij (z_j - y_ij)^2, multiplied out would cancel; a peak at a time keeps memory small
        z = turned(x, self.Q)
        best = np.full(x.shape[:-1], -np.inf)
        for w, c, y in zip(self.w, self.C, self.peak):
            best = np.maximum(best, w * np.exp(-((z - y) ** 2 @ c) / (2 * self.dimension)))
        return oscillate(10 - best) ** 2 + outside(x)


class Gallagher21(Gallagher101):
    """f21 with 21 peaks, and the best of condition 10^6."""

    id, name, group = 22, "Gallagher, 21 peaks", "weak"
    peaks, nearest, condition = 21, 0.8, 1000.0**2
    width, low = 9.8, -4.9


class Katsuura(Problem):
    """10/n^2 (prod_i (1 + i sum_{j<=32} |2^j z_i - round(2^j z_i)| / 2^j)^(10 / n^1.2) - 1) + f_pen.

    z = Q Lambda^100 R (x - x_opt). Continuous, and nowhere with a slope: kinks at every scale.
    """

    id, name, group = 23, "Katsuura", "weak"

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        n = self.dimension
        z = turned(x - self.x_opt, self.Q, scales(100, n), self.R)
        powers = 2.0 ** np.arange(1, 33)
        y = powers * z[..., None]
        rough = np.abs(y - np.round(y)) @ (1 / powers)
        product = np.exp(np.log1p(np.arange(1, n + 1) * rough).sum(axis=-1) * 10 / n**1.2)
        return 10 / n**2 * (product - 1) + outside(x)


class LunacekBiRastrigin(Problem):
    """min(|u - 2.5|^2, n + s |u - mu|^2) + 10 (n - sum cos 2 pi z_i) + 10^4 f_pen: the wider bowl is worse.

    u = 2 sign(x_opt) x,  z = Q Lambda^100 R (u - 2.5),  s = 1 - 1 / (2 sqrt(n + 20) - 8.2),
    mu = -sqrt((2.5^2 - 1) / s).
    """

    id, name, group = 24, "Lunacek bi-Rastrigin", "weak"

    def setup(self) -> None:
        """Draw signs; the optimum is 2.5 / 2 times them."""
        self.signs = np.sign(gauss(self.dimension, self.seed))
        self.x_opt = self.signs * 2.5 / 2

    def formula(self, x: np.ndarray) -> np.ndarray:
        """f(x) without f_opt, for points in the last axis of `x`: shape (..., n) to (...)."""
        n = self.dimension
        s = 1 - 1 / (2 * np.sqrt(n + 20) - 8.2)
        mu = -np.sqrt((2.5**2 - 1) / s)
        u = 2 * self.signs * x
        z = turned(u - 2.5, self.Q, scales(100, n), self.R)
        bowls = np.minimum(((u - 2.5) ** 2).sum(axis=-1), n + s * ((u - mu) ** 2).sum(axis=-1))
        return bowls + 10 * (1 - np.cos(2 * np.pi * z)).sum(axis=-1) + 1e4 * outside(x)
