"""Evolution strategies that estimate a gradient, and the (1+1)-EA, the least of all populations."""

from typing import Any

import numpy as np

from lmbook.optim.heuristic.base import Heuristic, Seed, needs, within
from lmbook.optim.heuristic.mutation import MUTATIONS, Mutation, gaussian
from lmbook.optim.heuristic.space import Real, Space


class EvolutionStrategy(Heuristic):
    """Climb the gradient of E f(theta + sigma e), e ~ N(0, I), estimated from values alone.

        g = sum_i u_i e_i / (popsize sigma);   theta <- theta - Adam(g)

    `antithetic` takes each e with its mirror image -e. `shaping` "rank" replaces the values by ranks,
    spread evenly over [-1/2, 1/2], so that outliers and units do not matter; "value" takes them less their
    mean. `momentum` (beta1, beta2) are Adam's. Sources: Salimans et al. 2017; Wierstra et al. 2014.
    """

    def __init__(
        self,
        space: Real,
        x0: Any,
        sigma: float = 0.1,
        popsize: int = 50,
        *,
        lr: float = 0.05,
        antithetic: bool = True,
        shaping: str = "rank",
        momentum: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        seed: Seed = None,
    ) -> None:
        super().__init__(space, popsize, seed)
        needs(self, space, "real")
        if antithetic and popsize % 2:
            raise ValueError(
                f"EvolutionStrategy: mirrored samples come in pairs; popsize {popsize} is odd"
            )
        if shaping not in ("rank", "value"):
            raise ValueError(
                f"EvolutionStrategy: shaping must be 'rank' or 'value', not {shaping!r}"
            )
        if not (sigma > 0 and lr > 0):
            raise ValueError(
                f"EvolutionStrategy: sigma and lr must be above 0, not {sigma} and {lr}"
            )
        within("EvolutionStrategy", 0, 1, beta1=momentum[0], beta2=momentum[1])
        self.box = space
        self.theta = space.check(x0, "EvolutionStrategy: x0")[0]
        self.sigma, self.lr, self.weight_decay = sigma, lr, weight_decay
        self.antithetic, self.shaping, self.momentum = antithetic, shaping, momentum
        self.m, self.v = np.zeros(space.size), np.zeros(space.size)

    def _ask(self) -> np.ndarray:
        if self.antithetic:
            half = self.rng.standard_normal((self.popsize // 2, self.space.size))
            self.noise = np.concatenate([half, -half])
        else:
            self.noise = self.rng.standard_normal((self.popsize, self.space.size))
        return self.box.clip(self.theta + self.sigma * self.noise)

    def gradient(self, values: np.ndarray) -> np.ndarray:
        """The estimate g, of shape (size,), for the points last asked for."""
        if self.shaping == "rank":
            order = np.argsort(np.argsort(values, kind="stable"), kind="stable")
            u = order / (len(values) - 1) - 0.5
        else:
            u = values - values.mean()
        return u @ self.noise / (len(values) * self.sigma)

    def _tell(self, x: np.ndarray, values: np.ndarray) -> None:
        g, (b1, b2), t = self.gradient(values), self.momentum, self.generation
        self.m = b1 * self.m + (1 - b1) * g
        self.v = b2 * self.v + (1 - b2) * g * g
        step = (self.m / (1 - b1**t)) / (np.sqrt(self.v / (1 - b2**t)) + 1e-8)
        decayed = self.theta * (1 - self.lr * self.weight_decay)
        self.theta = self.box.clip(decayed - self.lr * step)


class OnePlusOne(Heuristic):
    """The (1+1)-EA: one parent, one child; the child replaces the parent if it is no worse.

    `runs` independent searches go side by side. On OneMax, with every bit turned with probability 1/n, the
    expected time is e n ln n + O(n). Source: Droste, Jansen and Wegener 2002.
    """

    def __init__(
        self, space: Space, *, mutation: Mutation | None = None, runs: int = 1, seed: Seed = None
    ) -> None:
        super().__init__(space, runs, seed, least=1)
        if mutation is None and isinstance(space, Real):
            scale = 0.1 * space.width
            mutation = lambda x, rng: space.clip(gaussian(x, rng, scale))  # noqa: E731
        self.mutate = mutation or next(iter(MUTATIONS[space.kind].values()))
        self.x = np.empty((0, space.size))
        self.values = np.empty(0)

    def _ask(self) -> np.ndarray:
        if len(self.x) == 0:
            return self.space.sample(self.rng, self.popsize)
        return self.mutate(self.x, self.rng)

    def _tell(self, x: np.ndarray, values: np.ndarray) -> None:
        if len(self.x) == 0:
            self.x, self.values = x, values
            return
        better = values <= self.values
        self.x = np.where(better[:, None], x, self.x)
        self.values = np.where(better, values, self.values)
