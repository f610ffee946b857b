"""What may be chosen: numbers, on a plain or a logarithmic scale, whole numbers, and names."""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from lmbook.optim.heuristic.space import Real

Params = dict[str, Any]


class Float:
    """A number from `low` to `high`; with `log`, equal factors are equally likely."""

    size = 1

    def __init__(self, low: float, high: float, *, log: bool = False) -> None:
        _check_bounds(type(self).__name__, low, high, log)
        self.low, self.high, self.log = low, high, log

    def decode(self, u: np.ndarray) -> Any:
        """The value at u in [0, 1], of shape (1,)."""
        a, b = self._ends()
        value = a + (b - a) * min(max(float(u[0]), 0.0), 1.0)
        return min(max(math.exp(value) if self.log else value, self.low), self.high)

    def encode(self, value: Any) -> list[float]:
        """The place of `value` on [0, 1]."""
        a, b = self._ends()
        if not self.low <= value <= self.high:
            raise ValueError(f"{value!r} is not in {self!r}")
        return [((math.log(value) if self.log else float(value)) - a) / (b - a) if b > a else 0.5]

    def grid(self, count: int) -> list[Any]:
        """`count` values with equal distances (with `log`, equal factors), both ends included."""
        if count < 1:
            raise ValueError(f"{self!r}: a grid needs at least 1 value, not {count}")
        places = [0.5] if count == 1 else np.linspace(0, 1, count)
        return list(dict.fromkeys(self.decode(np.array([u])) for u in places))

    def _ends(self) -> tuple[float, float]:
        if self.log:
            return math.log(self.low), math.log(self.high)
        return float(self.low), float(self.high)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.low}, {self.high}{', log=True' if self.log else ''})"


class Int(Float):
    """A whole number from `low` to `high`, both included."""

    def __init__(self, low: int, high: int, *, log: bool = False) -> None:
        if low != int(low) or high != int(high):
            raise ValueError(f"Int: bounds must be whole numbers, not {low} and {high}")
        if low == high:
            raise ValueError(f"Int: only {low} is left; set it and leave it out of the space")
        super().__init__(int(low), int(high), log=log)

    def decode(self, u: np.ndarray) -> int:
        """The whole number at u; each has an equal part of [0, 1] (with `log`, of the log scale)."""
        a, b = self._ends()
        value = a + (b - a) * min(max(float(u[0]), 0.0), 1.0)
        return min(max(round(math.exp(value) if self.log else value), self.low), self.high)  # type: ignore[return-value]

    def _ends(self) -> tuple[float, float]:
        a, b = self.low - 0.5, self.high + 0.5
        return (math.log(a), math.log(b)) if self.log else (a, b)

    def grid(self, count: int) -> list[Any]:
        """Up to `count` different whole numbers, both ends included."""
        if count < 1:
            raise ValueError(f"{self!r}: a grid needs at least 1 value, not {count}")
        a, b = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        places = np.linspace(a, b, count) if count > 1 else [(a + b) / 2]
        return list(dict.fromkeys(round(math.exp(v)) if self.log else round(v) for v in places))


class Categorical:
    """One of several things without an order. On the unit cube it takes a coordinate for each."""

    def __init__(self, choices: Sequence[Any]) -> None:
        self.choices = list(choices)
        if len(self.choices) < 2:
            raise ValueError(f"Categorical: a choice needs at least 2 options, not {self.choices}")
        self.size = len(self.choices)

    def decode(self, u: np.ndarray) -> Any:
        """The choice whose coordinate is largest."""
        return self.choices[int(np.argmax(u))]

    def encode(self, value: Any) -> list[float]:
        """1 at the place of `value`, else 0."""
        if value not in self.choices:
            raise ValueError(f"{value!r} is not in {self!r}")
        return [float(i == self.choices.index(value)) for i in range(self.size)]

    def grid(self, count: int) -> list[Any]:
        """All choices, whatever `count` is."""
        return list(self.choices)

    def __repr__(self) -> str:
        return f"Categorical({self.choices})"


class SearchSpace(Real):
    """Named dimensions, laid out on the unit cube [0, 1]^size, so that any heuristic can search it.

        SearchSpace({"lr": Float(1e-4, 1, log=True), "depth": Int(1, 6), "act": Categorical("ab")})

    `decode` turns a point of the cube into a dict, `encode` a dict into the point in the middle of
    what decodes to it.
    """

    def __init__(self, dimensions: Mapping[str, Float | Categorical]) -> None:
        if not dimensions:
            raise ValueError("SearchSpace: empty; name at least one dimension, as Float(low, high)")
        for name, dimension in dimensions.items():
            if not isinstance(dimension, Float | Categorical):
                raise TypeError(
                    f"SearchSpace: {name!r} is {dimension!r}; want Float, Int or Categorical"
                )
        self.dimensions = dict(dimensions)
        super().__init__(sum(d.size for d in dimensions.values()), 0.0, 1.0)

    def decode(self, u: np.ndarray) -> Params:
        """The parameters at a point u of shape (size,)."""
        parts = np.split(np.asarray(u, dtype=float), self._cuts())
        return {name: d.decode(part) for (name, d), part in zip(self.dimensions.items(), parts)}

    def encode(self, params: Mapping[str, Any]) -> np.ndarray:
        """A point of shape (size,) that decodes to `params`."""
        if set(params) != set(self.dimensions):
            raise ValueError(
                f"SearchSpace.encode: want a value for each of {list(self.dimensions)}, got {list(params)}"
            )
        return np.array([u for name, d in self.dimensions.items() for u in d.encode(params[name])])

    def snap(self, points: np.ndarray) -> np.ndarray:
        """The points, each moved to where its decoded parameters are encoded. Shape (count, size).

        A model of the objective then knows that it cannot change between two whole numbers.
        """
        return np.array([self.encode(self.decode(u)) for u in points]).reshape(-1, self.size)

    @property
    def continuous(self) -> bool:
        """Whether every dimension is a `Float`, so that `snap` changes nothing."""
        return all(type(d) is Float for d in self.dimensions.values())

    def grid(self, counts: int | Mapping[str, int] = 5) -> list[Params]:
        """Every combination of `counts` values a dimension (one number, or one by name)."""
        if isinstance(counts, Mapping) and set(counts) - set(self.dimensions):
            raise ValueError(
                f"SearchSpace.grid: no dimension {sorted(set(counts) - set(self.dimensions))}; "
                f"there are {list(self.dimensions)}"
            )
        axes = [
            d.grid(counts.get(name, 5) if isinstance(counts, Mapping) else counts)
            for name, d in self.dimensions.items()
        ]
        return [dict(zip(self.dimensions, values)) for values in product(*axes)]

    def _cuts(self) -> np.ndarray:
        return np.cumsum([d.size for d in self.dimensions.values()])[:-1]

    def __repr__(self) -> str:
        return f"SearchSpace({self.dimensions})"


def _check_bounds(name: str, low: float, high: float, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{name}: bounds must be finite, not {low} and {high}")
    if not low < high:
        raise ValueError(
            f"{name}: low is {low} and high is {high}; low must be smaller: are the two swapped?"
        )
    if log and low <= 0:
        raise ValueError(f"{name}: a logarithmic scale needs low above 0, not {low}")
