"""Mutation: small random changes. Arrays (count, n) in, new arrays (count, n) out."""

from collections.abc import Callable

import numpy as np

from lmbook.optim.heuristic.space import Real, Space

Mutation = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def flip(x: np.ndarray, rng: np.random.Generator, rate: float | None = None) -> np.ndarray:
    """Turn every bit with probability `rate`, by default 1/n: one a string on the average."""
    return x ^ (rng.random(x.shape) < (1 / x.shape[1] if rate is None else rate))


def gaussian(
    x: np.ndarray, rng: np.random.Generator, scale: np.ndarray | float = 0.1, rate: float = 1.0
) -> np.ndarray:
    """Add a normal number of standard deviation `scale` to each coordinate with probability `rate`."""
    noise = scale * rng.standard_normal(x.shape)
    return x + (noise if rate == 1 else noise * (rng.random(x.shape) < rate))


def multiscale(
    x: np.ndarray,
    rng: np.random.Generator,
    width: np.ndarray | float = 1.0,
    low: float = 1e-5,
    high: float = 0.5,
) -> np.ndarray:
    """Add normal numbers to all coordinates or to one, as a coin falls, at a scale that is drawn too.

    The scale is `width` times a number between `low` and `high`, uniform in its logarithm, so that no valley
    is too wide for it or too narrow. Symmetric, as the Metropolis rule wants.
    """
    count, n = x.shape
    scale = np.exp(rng.uniform(np.log(low), np.log(high), (count, 1)))
    one = np.arange(n) == rng.integers(0, n, (count, 1))
    moved = one | (rng.random((count, 1)) < 0.5)
    return x + width * scale * moved * rng.standard_normal(x.shape)


def swap(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exchange two different places of each row."""
    count, n = x.shape
    i = rng.integers(0, n, count)
    j = (i + rng.integers(1, n, count)) % n if n > 1 else i
    rows, y = np.arange(count), x.copy()
    y[rows, i], y[rows, j] = x[rows, j], x[rows, i]
    return y


def reverse(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn a piece of each row round: for a tour, exchange two edges (2-opt)."""
    count, n = x.shape
    ends = np.sort(rng.integers(0, n, (count, 2)), axis=1)
    first, last = ends[:, :1], ends[:, 1:]
    places = np.arange(n)
    inside = (places >= first) & (places <= last)
    return np.take_along_axis(x, np.where(inside, first + last - places, places), axis=1)


def insert(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Take one thing of each row out and put it in elsewhere; what lies between moves up."""
    count, n = x.shape
    out, into = rng.integers(0, n, (2, count, 1))
    places = np.broadcast_to(np.arange(n), (count, n))
    source = np.where((places >= out) & (places < into), places + 1, places)
    source = np.where((places > into) & (places <= out), places - 1, source)
    return np.take_along_axis(x, np.where(places == into, out, source), axis=1)


MUTATIONS: dict[str, dict[str, Callable[..., np.ndarray]]] = {
    "binary": {"flip": flip},
    "real": {"gaussian": gaussian, "multiscale": multiscale},
    "permutation": {"swap": swap, "reverse": reverse, "insert": insert},
}
"""By the kind of space; the first is the default."""


def standard_move(space: Space) -> Mutation:
    """The move that fits a space: one bit, a step of a tenth of the width, a piece turned round.

    All three are symmetric, as the Metropolis rule wants: there and back are equally likely.
    """
    if isinstance(space, Real):
        scale = np.where(np.isfinite(space.width), 0.1 * space.width, 0.1) / np.sqrt(space.size)
        return lambda x, rng: gaussian(x, rng, scale)
    return reverse if space.kind == "permutation" else one_bit


def one_bit(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn exactly one bit of each row."""
    y = x.copy()
    rows = np.arange(len(x))
    y[rows, rng.integers(0, x.shape[1], len(x))] ^= 1
    return y
