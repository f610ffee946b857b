"""Where a search looks: vectors of real numbers, strings of bits, orders of n things."""

from typing import Any

import numpy as np

from lmbook.backend.errors import ShapeError


class Space:
    """Points of `size` coordinates. `sample` draws them uniformly, `check` refuses others."""

    kind: str
    dtype: type

    def __init__(self, size: int) -> None:
        if size != int(size) or size < 1:
            raise ValueError(
                f"{type(self).__name__}: size must be a whole number from 1, not {size}"
            )
        self.size = int(size)

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """`count` points drawn uniformly: an array (count, size)."""
        raise NotImplementedError(f"{type(self).__name__} has no sample method: write one")

    def check(self, x: Any, what: str = "x") -> np.ndarray:
        """`x` as an array (count, size) of points of this space, or an error."""
        points = np.atleast_2d(np.asarray(x))
        if points.ndim != 2 or points.shape[1] != self.size:
            raise ShapeError(
                f"{what}: points of {self!r} have shape (count, {self.size}), not {np.shape(x)}"
            )
        bad = ~self.contains(points)
        if bad.any():
            raise ValueError(f"{what}: row {int(np.argmax(bad))} is no point of {self!r}")
        return points.astype(self.dtype)

    def contains(self, points: np.ndarray) -> np.ndarray:
        """For each row, whether it is a point of this space."""
        raise NotImplementedError(f"{type(self).__name__} has no contains method: write one")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.size})"


class Real(Space):
    """Vectors x with low <= x <= high. A bound is a number or an array of shape (size,).

    Without bounds (the default) only methods that start from a point can search.
    """

    kind, dtype = "real", float

    def __init__(self, size: int, low: Any = -np.inf, high: Any = np.inf) -> None:
        super().__init__(size)
        try:
            self.low = np.broadcast_to(np.asarray(low, dtype=float), (self.size,))
            self.high = np.broadcast_to(np.asarray(high, dtype=float), (self.size,))
        except ValueError as error:
            raise ShapeError(
                f"Real: bounds are numbers or arrays of shape ({self.size},), "
                f"not {np.shape(low)} and {np.shape(high)}"
            ) from error
        wrong = ~(self.low < self.high)
        if wrong.any():
            i = int(np.argmax(wrong))
            raise ValueError(
                f"Real: coordinate {i} has low {self.low[i]} and high {self.high[i]}; "
                "low must be smaller: are the two swapped?"
            )

    @property
    def bounded(self) -> bool:
        """Whether every bound is finite."""
        return bool(np.isfinite(self.low).all() and np.isfinite(self.high).all())

    @property
    def width(self) -> np.ndarray:
        """high - low, of shape (size,)."""
        return self.high - self.low

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """`count` points drawn uniformly between the bounds."""
        if not self.bounded:
            raise ValueError("Real: to sample, both bounds must be finite: Real(size, low, high)")
        return self.low + self.width * rng.random((count, self.size))

    def contains(self, points: np.ndarray) -> np.ndarray:
        """For each row, whether it keeps within the bounds."""
        return np.all((points >= self.low) & (points <= self.high), axis=1)

    def clip(self, points: np.ndarray) -> np.ndarray:
        """The nearest points inside the bounds."""
        return np.clip(points, self.low, self.high)


class Binary(Space):
    """Strings of `size` bits, as arrays of 0 and 1."""

    kind, dtype = "binary", int

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """`count` rows of fair bits."""
        return rng.integers(0, 2, (count, self.size))

    def contains(self, points: np.ndarray) -> np.ndarray:
        """For each row, whether it holds zeros and ones alone."""
        return np.asarray(np.isin(points, (0, 1)).all(axis=1))


class Permutation(Space):
    """Orders of the numbers 0 to size - 1."""

    kind, dtype = "permutation", int

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """`count` random orders of 0 to size - 1."""
        return rng.permuted(np.tile(np.arange(self.size), (count, 1)), axis=1)

    def contains(self, points: np.ndarray) -> np.ndarray:
        """For each row, whether every number from 0 to size - 1 stands in it once."""
        return (np.sort(points, axis=1) == np.arange(self.size)).all(axis=1)
