"""Crossover: a child for each pair of parents. Arrays of parents (count, n) in, children (count, n) out."""

import numpy as np


def one_point(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The first parent up to a cut, the second from there. Source: Holland 1975."""
    count, n = a.shape
    cut = rng.integers(1, n, (count, 1)) if n > 1 else np.ones((count, 1), dtype=int)
    return np.where(np.arange(n) < cut, a, b)


def uniform(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each gene from either parent, as a coin falls. Source: Syswerda 1989."""
    return np.where(rng.random(a.shape) < 0.5, a, b)


def blend(a: np.ndarray, b: np.ndarray, rng: np.random.Generator, alpha: float = 0.5) -> np.ndarray:
    """Each number uniform between the parents' and `alpha` times their distance beyond.

    Source: Eshelman and Schaffer 1993, BLX-alpha.
    """
    t = rng.uniform(-alpha, 1 + alpha, a.shape)
    return a + t * (b - a)


def order(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A slice of the first parent in its place; the rest in the second parent's order.

    The rest is filled in from behind the slice, round the end. Source: Davis 1985.
    """
    count, n = a.shape
    ends = np.sort(rng.integers(0, n + 1, (count, 2)), axis=1)
    start, stop = ends[:, :1], ends[:, 1:]
    turned = (np.arange(n) + stop) % n  # places, beginning behind the slice
    taken = np.zeros((count, n), dtype=bool)  # by thing, not by place
    places = np.arange(n)
    inside = (places >= start) & (places < stop)
    np.put_along_axis(taken, a, inside, axis=1)
    rest = np.take_along_axis(b, turned, axis=1)
    first = np.argsort(np.take_along_axis(taken, rest, axis=1), axis=1, kind="stable")
    rest = np.take_along_axis(rest, first, axis=1)  # things not in the slice come first
    filled = np.where(places < n - (stop - start), rest, np.take_along_axis(a, turned, axis=1))
    child = np.empty_like(a)
    np.put_along_axis(child, turned, filled, axis=1)
    return child


def edge(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A tour out of the parents' edges: go on to the neighbour that has fewest neighbours left.

    Ties fall at random; with no neighbour left, any city that is missing. Source: Whitley, Starkweather
    and Fuquay 1989.
    """
    count, n = a.shape
    rows = np.arange(count)
    near = np.concatenate([_neighbours(a), _neighbours(b)], axis=2)  # (count, n, 4), by city
    for k in range(1, 4):  # an edge of both parents counts once
        near[:, :, k][(near[:, :, k, None] == near[:, :, :k]).any(axis=2)] = -1
    left = (near >= 0).sum(axis=2)
    free = np.ones((count, n), dtype=bool)
    child = np.empty_like(a)
    here = a[:, 0]
    for step in range(n):
        child[:, step] = here
        free[rows, here] = False
        options = near[rows, here]  # (count, 4)
        for k in range(4):
            left[rows, options[:, k]] -= options[:, k] >= 0
        usable = (options >= 0) & free[rows[:, None], options]
        cost = np.where(usable, left[rows[:, None], options], n) + 0.5 * rng.random((count, 4))
        chosen = options[rows, cost.argmin(axis=1)]
        lost = ~usable.any(axis=1)
        if lost.any():
            chosen[lost] = np.where(free[lost], rng.random((lost.sum(), n)), -1).argmax(axis=1)
        here = chosen
    return child


def _neighbours(tour: np.ndarray) -> np.ndarray:
    """For each city the two beside it in the tour: (count, n) -> (count, n, 2)."""
    beside = np.stack([np.roll(tour, 1, axis=1), np.roll(tour, -1, axis=1)], axis=2)
    by_city = np.empty_like(beside)
    np.put_along_axis(by_city, tour[:, :, None], beside, axis=1)
    return by_city


CROSSOVERS = {
    "binary": {"one_point": one_point, "uniform": uniform},
    "real": {"uniform": uniform, "one_point": one_point, "blend": blend},
    "permutation": {"order": order, "edge": edge},
}
"""By the kind of space; the first is the default."""
