"""How often to save, and what failures leave of the time.

C seconds to save, R to restart, M mean time between failures, which come as a Poisson process.
"""

from math import exp, expm1, sqrt


def young(save: float, mtbf: float) -> float:
    """Seconds of work between checkpoints: sqrt(2 C M). Source: Young 1974."""
    return sqrt(2 * save * mtbf)


def daly(save: float, mtbf: float) -> float:
    """The best interval under exact Poisson failures: the t with (1 - t / M) e^((t + C) / M) = 1.

    R plays no part, since `goodput` is t / ((M + R')(e^((t + C) / M) - 1)). Source: Daly 2006; solved by
    bisection.
    """
    low, high = 0.0, mtbf
    for _ in range(200):
        t = (low + high) / 2
        low, high = (t, high) if (1 - t / mtbf) * exp((t + save) / mtbf) > 1 else (low, t)
    return (low + high) / 2


def goodput(interval: float, save: float, restart: float, mtbf: float) -> float:
    """The share of time that is work which is kept: t / ((M + R')(e^((t + C) / M) - 1)).

    A piece of t + C seconds begins anew, after a restart, when a failure comes in it. Failures come in
    restarts, too: R' = M (e^(R / M) - 1), which is R if R is short.
    """
    if not mtbf > 0:
        raise ValueError(f"goodput: a mean time between failures of {mtbf} must be above 0")
    again = mtbf * expm1(restart / mtbf)
    return interval / ((mtbf + again) * expm1((interval + save) / mtbf))
