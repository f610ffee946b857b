"""What all heuristics share: ask for points, tell their values, keep the best."""

from typing import Any

import numpy as np

from lmbook.backend.errors import NonFiniteError, ShapeError
from lmbook.backend.random import default_generator
from lmbook.optim.heuristic.space import Space

BARRIER = 1e300
"""Points that break a constraint have values from here on, worse than any that does not."""

Seed = int | np.random.Generator | None


class Heuristic:
    """A search that looks at values only, never at a gradient. Smaller is better.

        x = method.ask()            # (popsize, size), points of the space
        method.tell(values)         # (popsize,), the objective at each

    `best_x` and `best_value` hold the best point seen, `asked` the points whose values are still to be told,
    `evaluations` and `generation` count. A
    method fills in `_ask` and `_tell`. `seed` is a number, a generator, or None for the book's own.
    """

    def __init__(self, space: Space, popsize: int, seed: Seed = None, least: int = 2) -> None:
        name = type(self).__name__
        if popsize != int(popsize) or popsize < least:
            why = "a population of one has nobody to learn from" if popsize == 1 else "too few"
            raise ValueError(
                f"{name}: popsize must be a whole number from {least}, not {popsize}: {why}"
            )
        self.space, self.popsize = space, int(popsize)
        if isinstance(seed, np.random.Generator):
            self.rng = seed
        else:
            self.rng = default_generator() if seed is None else np.random.default_rng(seed)
        self.best_x: np.ndarray | None = None
        self.best_value = np.inf
        self.evaluations = 0
        self.generation = 0
        self.asked: np.ndarray | None = None

    def ask(self) -> np.ndarray:
        """Points to look at, of shape (popsize, size)."""
        if self.asked is not None:
            raise RuntimeError(
                f"{type(self).__name__}.ask: tell the values of the last points first"
            )
        self.asked = self._ask()
        return self.asked.copy()

    def tell(self, values: Any) -> None:
        """Take the objective's values at the points last asked for, in their order."""
        name = type(self).__name__
        if self.asked is None:
            raise RuntimeError(f"{name}.tell: ask for points first")
        v = np.asarray(values, dtype=float)
        if v.shape != (len(self.asked),):
            raise ShapeError(
                f"{name}.tell: expected values of shape ({len(self.asked)},), got {v.shape}"
            )
        wrong = np.isnan(v) | (v == -np.inf)
        if wrong.any():
            i = int(np.argmax(wrong))
            raise NonFiniteError(
                f"{name}.tell: the value of point {i} is {v[i]}; give +inf to a point that must not be chosen"
            )
        v = np.where(v == np.inf, 2 * BARRIER, v)  # finite, so that differences are
        x, self.asked = self.asked, None
        i = int(np.argmin(v))
        if self.best_x is None or v[i] < self.best_value:
            self.best_x, self.best_value = x[i].copy(), float(v[i])
        self.evaluations += len(v)
        self.generation += 1
        self._tell(x, v)

    def _ask(self) -> np.ndarray:
        """The points to try next; each method writes its own."""
        raise NotImplementedError(f"{type(self).__name__} has no _ask method: write one")

    def _tell(self, x: np.ndarray, values: np.ndarray) -> None:
        """Learn from the values of the points asked for; each method writes its own."""
        raise NotImplementedError(f"{type(self).__name__} has no _tell method: write one")


def feasible_first(values: Any, violations: Any) -> np.ndarray:
    """Values in which every point that keeps all constraints comes before every one that does not.

        f(x)                        if the violation v is 0
        BARRIER (1 + v / (1 + v))   otherwise: the smaller the violation, the better

    Violations of shape (count,) or (count, constraints) count where they are positive. Source: the
    three rules of Deb 2000; the scale is ours, so that one number carries the order.
    """
    values = np.asarray(values, dtype=float)
    v = np.maximum(np.asarray(violations, dtype=float), 0)
    if v.ndim not in (1, 2) or v.shape[0] != values.shape[0]:
        raise ShapeError(f"constraints: {len(values)} points, but violations of shape {v.shape}")
    if np.isnan(v).any():
        raise NonFiniteError("constraints: a violation is NaN; give 0 where a constraint is kept")
    total = v if v.ndim == 1 else v.sum(axis=1)
    return np.where(total > 0, BARRIER * (2 - 1 / (1 + total)), values)


def one_of(name: str, what: str, value: Any, known: Any) -> Any:
    """`known[value]`, or an error that lists what there is. A function passes as it is."""
    if callable(value):
        return value
    if value not in known:
        raise ValueError(
            f"{name}: {what} {value!r} is unknown; there are {', '.join(map(repr, known))}"
        )
    return known[value]


def within(name: str, low: float, high: float, **numbers: float) -> None:
    """Refuse numbers outside [low, high], by name."""
    for what, value in numbers.items():
        if not low <= value <= high:
            raise ValueError(f"{name}: {what} must lie in [{low}, {high}], not {value}")


def needs(method: Heuristic, space: Space, *kinds: str) -> None:
    """Refuse a space that the method cannot search."""
    if space.kind not in kinds:
        raise TypeError(
            f"{type(method).__name__} searches {' or '.join(kinds)} spaces, not {space!r}"
        )
