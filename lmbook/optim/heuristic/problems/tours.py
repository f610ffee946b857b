"""The travelling salesman: visit every city once and come home, by the shortest way."""

import numpy as np

from lmbook.backend.errors import ShapeError


def distances(cities: np.ndarray) -> np.ndarray:
    """Euclidean distances between cities (n, 2): an array (n, n)."""
    cities = np.asarray(cities, dtype=float)
    if cities.ndim != 2:
        raise ShapeError(f"distances: cities must have shape (n, 2), not {cities.shape}")
    return np.sqrt(((cities[:, None] - cities[None]) ** 2).sum(axis=-1))


def tour_length(tours: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Length of closed tours (..., n), given distances (n, n)."""
    tours = np.asarray(tours)
    return d[tours, np.roll(tours, -1, axis=-1)].sum(axis=-1)


def held_karp(d: np.ndarray) -> tuple[np.ndarray, float]:
    """The shortest tour and its length, proved, by dynamic programming over sets of cities.

        L(S, j) = min over i in S without j of L(S - {j}, i) + d_ij

    Time 2^n n^2, memory 2^n n: up to 20 cities. Sources: Held and Karp 1962; Bellman 1962.
    """
    n = len(d)
    if not 3 <= n <= 20:
        raise ValueError(f"held_karp: 3 to 20 cities, not {n}; memory grows as 2^n n")
    m = n - 1  # city m is home
    inner = d[:m, :m]
    shortest = np.full((2**m, m), np.inf)
    before = np.zeros((2**m, m), dtype=np.int8)
    shortest[1 << np.arange(m), np.arange(m)] = d[m, :m]
    sets = np.arange(2**m)
    sizes = np.array([bin(s).count("1") for s in range(2**m)])
    for size in range(2, m + 1):  # all sets of one size at once
        layer = sets[sizes == size]
        for j in range(m):
            S = layer[(layer >> j) & 1 == 1]
            ways = shortest[S ^ (1 << j)] + inner[:, j]  # (sets, m): by the city before j
            before[S, j] = ways.argmin(axis=1)
            shortest[S, j] = ways.min(axis=1)
    S, closed = 2**m - 1, shortest[-1] + d[:m, m]
    j = int(closed.argmin())
    length, tour = float(closed[j]), [m]
    while S:
        tour.append(j)
        S, j = S ^ (1 << j), int(before[S, j])
    return np.array(tour), length


def convex_optimum(cities: np.ndarray) -> tuple[np.ndarray, float]:
    """The shortest tour of cities that are all corners of one convex polygon: round it.

    A shortest tour crosses itself nowhere, and only the polygon's own round does not. Raises `ValueError`
    if some city is no corner.
    """
    cities = np.asarray(cities, dtype=float)
    middle = cities - cities.mean(axis=0)
    tour = np.argsort(np.arctan2(middle[:, 1], middle[:, 0]))
    side = np.roll(cities[tour], -1, axis=0) - cities[tour]
    after = np.roll(side, -1, axis=0)
    if not (side[:, 0] * after[:, 1] - side[:, 1] * after[:, 0] > 0).all():
        raise ValueError("convex_optimum: the cities are not the corners of a convex polygon")
    return tour, float(np.linalg.norm(side, axis=1).sum())


def two_opt(tour: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Turn pieces of the tour round while that shortens it: the best such move each time. Croes 1958."""
    tour = np.array(tour)
    n = len(tour)
    later = np.triu(np.ones((n, n), dtype=bool), 1)
    while True:
        after = np.roll(tour, -1)
        edge = d[tour, after]
        change = d[np.ix_(tour, tour)] + d[np.ix_(after, after)] - edge[:, None] - edge
        change = np.where(later, change, 0)
        i, j = np.unravel_index(change.argmin(), change.shape)
        if change[i, j] > -1e-12:
            return tour
        tour[i + 1 : j + 1] = tour[i + 1 : j + 1][::-1]
