"""Tails of the distributions that the tests need, from NumPy and the standard library alone."""

import math

import numpy as np


def normal_sf(z: float) -> float:
    """P(Z > z) for a standard normal Z."""
    return math.erfc(z / math.sqrt(2)) / 2


def chi2_sf(x: float, df: int) -> float:
    """P(X > x) for chi-square with `df` degrees of freedom.

    Q_k(x) = Q_{k-2}(x) + (x/2)^(k/2 - 1) e^(-x/2) / Gamma(k/2),   Q_2 = e^(-x/2),   Q_1 = erfc(sqrt(x/2))
    """
    if df != int(df) or df < 1:
        raise ValueError(f"chi2_sf: degrees of freedom must be a whole number from 1, not {df}")
    if x <= 0:
        return 1.0
    half, odd = x / 2, int(df) % 2
    total = math.erfc(math.sqrt(half)) if odd else math.exp(-half)
    for k in range(3 if odd else 4, int(df) + 1, 2):
        total += math.exp((k / 2 - 1) * math.log(half) - half - math.lgamma(k / 2))
    return min(1.0, total)


def studentized_range_sf(q: float, k: int) -> float:
    """P(range of k standard normal numbers > q): the studentised range with infinite degrees of freedom.

    1 - k integral phi(z) (Phi(z) - Phi(z - q))^(k-1) dz
    """
    if k < 2:
        raise ValueError(f"studentized_range_sf: a range needs at least 2 numbers, not {k}")
    z, w = np.polynomial.legendre.leggauss(200)
    z, w = 9 * z, 9 * w  # beyond nine standard deviations nothing is left
    phi = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    below = np.array([normal_sf(-a) - normal_sf(q - a) for a in z])
    return float(1 - k * (w * phi * below ** (k - 1)).sum())


def studentized_range_ppf(alpha: float, k: int) -> float:
    """The q that the range of k standard normal numbers exceeds with probability `alpha`: by bisection."""
    if not 0 < alpha < 1:
        raise ValueError(f"studentized_range_ppf: alpha must lie between 0 and 1, not {alpha}")
    low, high = 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if studentized_range_sf(middle, k) > alpha else (low, middle)
    return (low + high) / 2
