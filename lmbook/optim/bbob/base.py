"""What the 24 functions share: an instance, its optimum, and the check of what comes in."""

from typing import Any, ClassVar

import numpy as np

from lmbook.backend.errors import ShapeError
from lmbook.optim.bbob import generator

GROUPS = {
    "separable": "one coordinate at a time is enough",
    "moderate": "low or moderate conditioning",
    "conditioned": "one valley, badly conditioned",
    "structured": "many valleys that follow an overall slope",
    "weak": "many valleys with little or no overall slope",
}


class Problem:
    """A function of the BBOB suite in `dimension` coordinates; smaller is better.

        f = bbob.problem(15, dimension=10, instance=1)
        f(x)            # (..., 10) -> (...), at least f.f_opt
        f.excess(x)     # the same less f_opt: at least 0, and 0 at f.x_opt

    Everything outside [-5, 5]^n is allowed, and the optimum lies inside. `instance` moves the optimum and
    turns the axes. Source: Hansen, Finck, Ros and Auger 2009, INRIA RR-6829.
    """

    id: ClassVar[int]
    name: ClassVar[str]
    group: ClassVar[str]
    family: ClassVar[int | None] = None  # whose seed it shares: 4 has that of 3, 18 that of 17

    def __init__(self, dimension: int, instance: int = 1) -> None:
        if dimension != int(dimension) or dimension < 2:
            raise ValueError(
                f"bbob: dimension must be a whole number from 2, not {dimension}; "
                "several of the functions tie neighbouring coordinates"
            )
        if instance != int(instance) or instance < 1:
            raise ValueError(f"bbob: instance must be a whole number from 1, not {instance}")
        self.dimension, self.instance = int(dimension), int(instance)
        self.seed = (self.family or self.id) + 10000 * self.instance
        self.f_opt = generator.optimal_value(self.seed)
        self.x_opt = generator.optimum(self.seed, self.dimension)
        self.setup()

    def setup(self) -> None:
        """Draw or compute what the formula needs; by default nothing more."""

    @property
    def R(self) -> np.ndarray:
        """The first rotation, (n, n)."""
        return generator.rotation(self.seed + 1000000, self.dimension)

    @property
    def Q(self) -> np.ndarray:
        """The second rotation, (n, n)."""
        return generator.rotation(self.seed, self.dimension)

    def excess(self, x: Any) -> np.ndarray:
        """f(x) - f_opt at points x of shape (..., n): an array of shape (...)."""
        x = np.asarray(x, dtype=float)
        if x.ndim == 0 or x.shape[-1] != self.dimension:
            raise ShapeError(f"{self!r}: points have shape (..., {self.dimension}), not {x.shape}")
        return self.formula(x)

    def formula(self, x: np.ndarray) -> np.ndarray:
        """The function's own formula, less f_opt."""
        raise NotImplementedError(f"{type(self).__name__} has no formula method: write one")

    def __call__(self, x: Any) -> np.ndarray:
        """f(x) at points x of shape (..., n): an array of shape (...)."""
        return self.excess(x) + self.f_opt

    def __repr__(self) -> str:
        return f"bbob f{self.id} {self.name} (dimension {self.dimension}, instance {self.instance})"


def turned(x: np.ndarray, *matrices: np.ndarray) -> np.ndarray:
    """M_k ... M_1 x for points in rows, the first matrix nearest to x. A vector stands for its diagonal."""
    for m in matrices:
        x = x * m if m.ndim == 1 else x @ m.T
    return x
