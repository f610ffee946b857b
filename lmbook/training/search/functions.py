"""Functions on which searches are compared, each with its box and its minimum.

Source: Surjanovic and Bingham, Virtual Library of Simulation Experiments; Dixon and Szego (1978).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lmbook.optim.heuristic.problems import ackley, rosenbrock
from lmbook.training.search.space import Float, Params, SearchSpace


class TestFunction(NamedTuple):
    """A function of an array (..., n), its box, and its least value there."""

    name: str
    function: Callable[[np.ndarray], np.ndarray]
    box: tuple[tuple[float, float], ...]
    minimum: float

    @property
    def space(self) -> SearchSpace:
        """The box as a space with dimensions x0, x1, ..."""
        return SearchSpace({f"x{i}": Float(*bounds) for i, bounds in enumerate(self.box)})

    def __call__(self, params: Params) -> float:
        """The value at a dict x0, x1, ..."""
        return float(self.function(np.array([params[f"x{i}"] for i in range(len(self.box))])))


def branin(x: np.ndarray) -> np.ndarray:
    """Three equal minima in two dimensions."""
    a, b = x[..., 0], x[..., 1]
    bent = b - 5.1 / (4 * np.pi**2) * a**2 + 5 / np.pi * a - 6
    return bent**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10


def six_hump_camel(x: np.ndarray) -> np.ndarray:
    """Six valleys in two dimensions, two of them deepest."""
    a, b = x[..., 0], x[..., 1]
    return (4 - 2.1 * a**2 + a**4 / 3) * a**2 + a * b + 4 * (b**2 - 1) * b**2


_HEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
_SCALES_3 = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
_PLACES_3 = 1e-4 * np.array(
    [[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]]
)
_SCALES_6 = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_PLACES_6 = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann(x: np.ndarray) -> np.ndarray:
    """Four hills of different widths turned upside down, in 3 or 6 dimensions."""
    scales, places = (_SCALES_3, _PLACES_3) if x.shape[-1] == 3 else (_SCALES_6, _PLACES_6)
    inside = (scales * (x[..., None, :] - places) ** 2).sum(axis=-1)
    return -(_HEIGHTS * np.exp(-inside)).sum(axis=-1)


FUNCTIONS = (
    TestFunction("branin", branin, ((-5, 10), (0, 15)), 0.39788735772973816),
    TestFunction("camel", six_hump_camel, ((-3, 3), (-2, 2)), -1.0316284534898774),
    TestFunction("rosenbrock-3", rosenbrock, ((-2, 2),) * 3, 0.0),
    TestFunction("hartmann-3", hartmann, ((0, 1),) * 3, -3.8627797869493365),
    TestFunction("ackley-4", ackley, ((-4, 6),) * 4, 0.0),
    TestFunction("hartmann-6", hartmann, ((0, 1),) * 6, -3.3223680114155147),
)
