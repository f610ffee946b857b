"""Expected improvement: how much better than the best a point is likely to be, on the average.

    EI(x) = E[max(best - f(x), 0)] = s h(z),   z = (best - m) / s,   h(z) = phi(z) + z Phi(z)

for f(x) normal with mean m and deviation s. Far from the best, EI is too small for a floating-point
number; its logarithm is not, and has the same maximum. Sources: Mockus (1978), Jones et al.
(1998); Ament et al. (2023) for the logarithm.
"""

import math

import numpy as np

_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


def expected_improvement(mean: np.ndarray, std: np.ndarray, best: float) -> np.ndarray:
    """EI for minimisation, of the shape of `mean`; 0 where it underflows."""
    return np.exp(log_expected_improvement(mean, std, best))


def log_expected_improvement(mean: np.ndarray, std: np.ndarray, best: float) -> np.ndarray:
    """log EI for minimisation, of the shape of `mean`; `std` must be positive."""
    mean, std = np.asarray(mean, dtype=float), np.asarray(std, dtype=float)
    if (std <= 0).any():
        raise ValueError("expected_improvement: a standard deviation is not positive")
    return np.log(std) + log_h((best - mean) / std)


def log_h(z: np.ndarray) -> np.ndarray:
    """log (phi(z) + z Phi(z)), accurate for every z.

    Below -3 the two terms nearly cancel. With t = -z and Mills' ratio as a continued fraction,
    Phi(-t) / phi(t) = 1 / (t + c), c = 1 / (t + 2 / (t + 3 / ...)), the sum is phi(t) c / (t + c).
    """
    z = np.asarray(z, dtype=float)
    t = np.maximum(-z, 3.0)
    c = np.zeros_like(t)
    for k in range(60, 0, -1):
        c = k / (t + c)
    far = -0.5 * t * t - _LOG_ROOT_2PI + np.log(c / (t + c))
    near = np.maximum(z, -3.0)
    density = np.exp(-0.5 * near * near - _LOG_ROOT_2PI)
    return np.where(z < -3, far, np.log(density + near * normal_cdf(near)))


def normal_cdf(z: np.ndarray) -> np.ndarray:
    """Phi(z), the probability that a standard normal number is below z."""
    flat = [0.5 * math.erfc(-v / math.sqrt(2)) for v in np.ravel(z)]
    return np.array(flat).reshape(np.shape(z))


def lower_confidence_bound(mean: np.ndarray, std: np.ndarray, beta: float = 2.0) -> np.ndarray:
    """beta s - m: to be maximised like the others. Source: Srinivas et al. (2010)."""
    return beta * np.asarray(std) - np.asarray(mean)
