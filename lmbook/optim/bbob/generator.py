"""Where the optimum lies, and how the axes are turned: the published generator of instances.

A test function is a formula; its instance is drawn. All that is drawn comes from these uniform numbers, so
that every program that follows the definition has the same function, to the last digits but a few.
Source: Hansen, Finck, Ros and Auger 2009, INRIA RR-6829, and the generator that comes with it.
"""

from functools import lru_cache

import numpy as np

MODULUS, MULTIPLIER = 2**31 - 1, 16807
TABLE, PER_CELL = 32, 67108865  # 2^26 + 1: a number below 2^31 - 1 points into a table of 32


def uniform(count: int, seed: int) -> np.ndarray:
    """`count` numbers in (0, 1): Park and Miller's generator, shuffled by Bays and Durham's table.

    s <- 16807 s mod (2^31 - 1);  the last number handed out says which of 32 is next, and s takes its place.
    """
    states = _park_miller(count + TABLE + 8, max(1, abs(int(seed))))
    table = states[TABLE + 7 : 7 : -1].tolist()  # filled from behind, after eight thrown away
    handed, out = table[0], [0] * count
    for i, state in enumerate(states[TABLE + 8 :].tolist()):
        place = handed // PER_CELL
        handed = table[place]
        table[place] = state
        out[i] = handed
    numbers = np.array(out) / MODULUS
    return np.where(numbers == 0, 1e-99, numbers)


def _park_miller(count: int, seed: int) -> np.ndarray:
    """The first `count` states after the seed, by doubling: s_{i+k} = 16807^k s_i mod (2^31 - 1)."""
    states = np.empty(count, dtype=np.int64)
    states[:1] = seed * MULTIPLIER % MODULUS
    done, factor = 1, MULTIPLIER
    while done < count:
        more = min(done, count - done)
        states[done : done + more] = states[:more] * factor % MODULUS
        done, factor = done + more, factor * factor % MODULUS
    return states


def gauss(count: int, seed: int) -> np.ndarray:
    """`count` normal numbers, by Box and Muller: sqrt(-2 ln u) cos(2 pi v)."""
    u = uniform(2 * count, seed)
    g = np.sqrt(-2 * np.log(u[:count])) * np.cos(2 * np.pi * u[count:])
    return np.where(g == 0, 1e-99, g)


@lru_cache(maxsize=64)
def rotation(seed: int, n: int) -> np.ndarray:
    """A random rotation R of shape (n, n): normal columns, made orthonormal one after the other."""
    q, r = np.linalg.qr(gauss(n * n, seed).reshape(n, n).T)
    turned: np.ndarray = q * np.sign(np.diag(r))
    turned.flags.writeable = False
    return turned


def optimum(seed: int, n: int) -> np.ndarray:
    """A place in [-4, 4]^n, on a grid of 8e-4, and never with a coordinate that is 0."""
    x = 8 * np.floor(1e4 * uniform(n, seed)) / 1e4 - 4
    return np.where(x == 0, -1e-5, x)


def optimal_value(seed: int) -> float:
    """A value in [-1000, 1000] to two decimals: a quotient of normal numbers, so Cauchy's distribution."""
    ratio = gauss(1, seed)[0] / gauss(1, seed + 1)[0]
    return float(np.clip(np.round(1e4 * ratio) / 100, -1000, 1000))
