"""What bends, stretches and fences a simple function. Arrays (..., n) in and out."""

import numpy as np


def oscillate(x: np.ndarray) -> np.ndarray:
    """T_osz: small smooth wiggles, 0 stays 0 and signs stay.

        sign(x) exp(h + 0.049 (sin(c_1 h) + sin(c_2 h))),   h = ln |x|

    c_1, c_2 are 10 and 7.9 where x > 0, and 5.5 and 3.1 elsewhere.
    """
    x = np.asarray(x, dtype=float)
    h = np.log(np.where(x == 0, 1.0, np.abs(x)))
    positive = x > 0
    c1, c2 = np.where(positive, 10, 5.5), np.where(positive, 7.9, 3.1)
    return np.sign(x) * np.exp(h + 0.049 * (np.sin(c1 * h) + np.sin(c2 * h)))


def asymmetric(x: np.ndarray, beta: float) -> np.ndarray:
    """T_asy: positive coordinates are stretched, the later the more: x_i^(1 + beta i/(n-1) sqrt(x_i))."""
    x = np.asarray(x, dtype=float)
    positive = np.maximum(x, 0)
    power = 1 + beta * spread(x.shape[-1]) * np.sqrt(positive)
    return np.where(x > 0, positive**power, x)


def spread(n: int) -> np.ndarray:
    """0 to 1 in n equal steps: i / (n - 1)."""
    return np.linspace(0, 1, n)


def scales(condition: float, n: int) -> np.ndarray:
    """The diagonal of Lambda^condition: condition^(i / (2 (n - 1))), from 1 to its root."""
    return np.asarray(condition ** (spread(n) / 2))


def outside(x: np.ndarray) -> np.ndarray:
    """f_pen: the squared distance beyond [-5, 5]^n, of shape (...)."""
    return (np.maximum(0, np.abs(x) - 5) ** 2).sum(axis=-1)
