"""How long the (1+1)-EA takes on OneMax, computed exactly."""

import math

import numpy as np


def onemax_times(n: int) -> np.ndarray:
    """Expected further children from k zeros on, for k = 0 to n, with rate 1/n.

        E_0 = 0;   E_k = (1 + sum_{j < k} p(k, j) E_j) / sum_{j < k} p(k, j)

    p(k, j) is the chance that a child has j zeros: some i more zeros are mended than ones are broken.
    """
    if n < 1:
        raise ValueError(f"onemax_times: n must be at least 1, not {n}")
    rate = 1 / n
    expected = np.zeros(n + 1)
    for k in range(1, n + 1):
        mended = _binomial(k, rate)
        broken = _binomial(n - k, rate)
        gain = np.array(
            [mended[d : d + len(broken)] @ broken[: len(mended) - d] for d in range(1, k + 1)]
        )  # gain[d - 1]: exactly d zeros fewer
        expected[k] = (1 + gain @ expected[k - 1 :: -1][: len(gain)]) / gain.sum()
    return expected


def onemax_time(n: int) -> float:
    """Expected evaluations from a random string on, the first one counted."""
    return float(1 + _binomial(n, 0.5) @ onemax_times(n))


def _binomial(n: int, p: float) -> np.ndarray:
    """Probabilities of 0 to n successes."""
    if p in (0, 1):
        return np.eye(n + 1)[n if p else 0]
    logs = np.array([math.lgamma(k + 1) for k in range(n + 1)])
    k = np.arange(n + 1)
    return np.exp(logs[n] - logs - logs[::-1] + k * math.log(p) + (n - k) * math.log1p(-p))
