"""Particle swarm optimisation: each particle is drawn to its own best place and to its neighbours'."""

from math import sqrt

import numpy as np

from lmbook.optim.heuristic.base import Heuristic, Seed, needs, one_of, within
from lmbook.optim.heuristic.space import Real


class ParticleSwarm(Heuristic):
    """v <- w v + c1 r1 (p - x) + c2 r2 (g - x);   x <- x + v.

    p is the particle's best place, g the best of its neighbourhood: of all ("global"), or of itself and
    one particle on either side ("ring"). r1, r2 are uniform in [0, 1], drawn for every coordinate.
    A particle that hits a bound stops there in that coordinate. Sources: Kennedy and Eberhart 1995; Shi and
    Eberhart 1998 for w; Clerc and Kennedy 2002 for the default numbers, `constriction()`.
    """

    def __init__(
        self,
        space: Real,
        popsize: int = 40,
        *,
        inertia: float | None = None,
        cognitive: float | None = None,
        social: float | None = None,
        topology: str = "global",
        seed: Seed = None,
    ) -> None:
        super().__init__(space, popsize, seed)
        needs(self, space, "real")
        w, c1, c2 = constriction()
        self.inertia = w if inertia is None else inertia
        self.cognitive = c1 if cognitive is None else cognitive
        self.social = c2 if social is None else social
        within(
            "ParticleSwarm",
            0,
            np.inf,
            inertia=self.inertia,
            cognitive=self.cognitive,
            social=self.social,
        )
        self.neighbourhood_best = one_of("ParticleSwarm", "topology", topology, TOPOLOGIES)
        self.box = space
        self.x = np.empty((0, space.size))
        self.v = np.empty((0, space.size))
        self.own_x = self.x
        self.own_values = np.full(popsize, np.inf)

    def _ask(self) -> np.ndarray:
        if len(self.x) == 0:
            self.x = self.box.sample(self.rng, self.popsize)
            self.v = (self.box.sample(self.rng, self.popsize) - self.x) / 2
            return self.x
        r1, r2 = self.rng.random((2, *self.x.shape))
        g = self.own_x[self.neighbourhood_best(self.own_values)]
        self.v = (
            self.inertia * self.v
            + self.cognitive * r1 * (self.own_x - self.x)
            + self.social * r2 * (g - self.x)
        )
        moved = self.x + self.v
        self.x = self.box.clip(moved)
        self.v[self.x != moved] = 0
        return self.x

    def _tell(self, x: np.ndarray, values: np.ndarray) -> None:
        better = values < self.own_values
        self.own_x = np.where(better[:, None], x, self.own_x if len(self.own_x) else x)
        self.own_values = np.where(better, values, self.own_values)


def constriction(phi1: float = 2.05, phi2: float = 2.05) -> tuple[float, float, float]:
    """Clerc and Kennedy's w, c1, c2, with which the swarm contracts.

    phi = phi1 + phi2 > 4;   w = 2 / (phi - 2 + sqrt(phi^2 - 4 phi));   c_i = w phi_i
    """
    phi = phi1 + phi2
    if phi <= 4:
        raise ValueError(f"constriction: phi1 + phi2 must be above 4, not {phi}")
    w = 2 / (phi - 2 + sqrt(phi * phi - 4 * phi))
    return w, w * phi1, w * phi2


def stable(inertia: float, cognitive: float, social: float) -> bool:
    """Whether the variance of a particle's place stays bounded while its targets stand still.

        c1 + c2 < 24 (1 - w^2) / (7 - 5 w)   for c1 = c2,  |w| < 1

    Source: Poli 2009. In the mean alone, c1 + c2 < 4 (1 + w) would do.
    """
    if abs(inertia) >= 1:
        return False
    return 0 < cognitive + social < 24 * (1 - inertia**2) / (7 - 5 * inertia)


def _everyone(values: np.ndarray) -> np.ndarray:
    return np.full(len(values), np.argmin(values))


def _ring(values: np.ndarray) -> np.ndarray:
    n = len(values)
    near = (np.arange(n)[:, None] + np.array([0, -1, 1])) % n  # itself first: it wins ties
    return near[np.arange(n), values[near].argmin(axis=1)]


TOPOLOGIES = {"global": _everyone, "ring": _ring}
