"""How arrays are combined: sum, mean, product, largest, smallest."""

from collections.abc import Callable
from typing import Any

import numpy as np

UFUNCS: dict[str, Callable[..., Any]] = {
    "sum": np.add, "mean": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum,
}  # fmt: skip


class Operator:
    """Combines arrays of one shape; `finish` divides a mean by the number of ranks."""

    def __init__(self, name: str) -> None:
        self.name, self.ufunc = name, UFUNCS[name]

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """a and b combined, in this order, as a new array."""
        return np.asarray(self.ufunc(a, b), dtype=a.dtype)

    def into(self, out: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
        """a and b combined, in this order, written to `out`."""
        self.ufunc(a, b, out=out)

    def finish(self, x: np.ndarray | None, size: int) -> np.ndarray | None:
        """What stands after the last combination."""
        return np.asarray(x / x.dtype.type(size)) if self.name == "mean" and x is not None else x


def operator(what: str, op: str, x: np.ndarray) -> Operator:
    """The operator of a name, for arrays like `x`."""
    if op not in UFUNCS:
        raise ValueError(f"{what}: op {op!r} is unknown; there are {', '.join(map(repr, UFUNCS))}")
    if not np.issubdtype(x.dtype, np.number) and x.dtype != bool:
        raise TypeError(f"{what}: cannot combine arrays of {x.dtype}; use numbers")
    if op == "mean" and not np.issubdtype(x.dtype, np.inexact):
        raise TypeError(f"{what}: the mean of {x.dtype} is not {x.dtype}; convert to a float first")
    return Operator(op)
