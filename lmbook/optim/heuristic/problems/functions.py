"""Functions whose minimum is known, over arrays (..., n). All are 0 at their minimum."""

import numpy as np


def sphere(x: np.ndarray) -> np.ndarray:
    """sum x_i^2: one round valley, minimum at 0."""
    return (np.asarray(x, dtype=float) ** 2).sum(axis=-1)


def ellipsoid(x: np.ndarray, condition: float = 1e6) -> np.ndarray:
    """sum condition^(i / (n - 1)) x_i^2: one valley, `condition` times as steep across as along."""
    x = np.asarray(x, dtype=float)
    n = x.shape[-1]
    return (condition ** (np.arange(n) / max(n - 1, 1)) * x * x).sum(axis=-1)


def rosenbrock(x: np.ndarray) -> np.ndarray:
    """sum 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2: a bent valley, minimum at 1. Rosenbrock 1960."""
    x = np.asarray(x, dtype=float)
    a, b = x[..., :-1], x[..., 1:]
    return (100 * (b - a * a) ** 2 + (1 - a) ** 2).sum(axis=-1)


def rastrigin(x: np.ndarray) -> np.ndarray:
    """10 n + sum x_i^2 - 10 cos(2 pi x_i): a valley at every whole number, the deepest at 0."""
    x = np.asarray(x, dtype=float)
    return (10 + x * x - 10 * np.cos(2 * np.pi * x)).sum(axis=-1)


def ackley(x: np.ndarray) -> np.ndarray:
    """Flat and rough far out, a funnel at 0: 20 - 20 exp(-0.2 |x| / sqrt n) + e - exp(mean cos 2 pi x)."""
    x = np.asarray(x, dtype=float)
    near = np.exp(-0.2 * np.sqrt((x * x).mean(axis=-1)))
    return 20 - 20 * near + np.e - np.exp(np.cos(2 * np.pi * x).mean(axis=-1))


def onemax(x: np.ndarray) -> np.ndarray:
    """The number of zeros in strings of bits: least, 0, where all are ones."""
    x = np.asarray(x)
    return x.shape[-1] - x.sum(axis=-1)
