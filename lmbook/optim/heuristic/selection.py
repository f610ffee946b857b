"""Selection: who becomes a parent. Each takes values (smaller is better) and gives indices."""

import numpy as np


def roulette(values: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Probability in proportion to fitness, which here is the lead over the worst.

        p_i = (max f - f_i + e) / sum,   e = 1 % of the range

    Source: Holland 1975. The pressure depends on how values are spread, and not on the order alone.
    """
    lead = values.max() - values
    lead = lead + (0.01 * lead.max() if lead.max() > 0 else 1.0)
    return rng.choice(len(values), size=count, p=lead / lead.sum())


def tournament(
    values: np.ndarray, count: int, rng: np.random.Generator, size: int = 2
) -> np.ndarray:
    """The best of `size` drawn with replacement.

    The share of the best grows about `size`-fold a generation while it is small. Source: Goldberg and
    Deb 1991.
    """
    if not size >= 1:
        raise ValueError(f"tournament: size must be at least 1, not {size}")
    drawn = rng.integers(0, len(values), (count, size))
    return drawn[np.arange(count), values[drawn].argmin(axis=1)]


def rank(
    values: np.ndarray, count: int, rng: np.random.Generator, pressure: float = 2.0
) -> np.ndarray:
    """Probability falls linearly with the rank, from the best to the worst.

        p_r = (s - (2 s - 2) r / (n - 1)) / n,   r = 0 for the best,  1 <= s <= 2

    The best has `pressure` s children on the average. Source: Baker 1985.
    """
    if not 1 <= pressure <= 2:
        raise ValueError(f"rank: pressure must lie in [1, 2], not {pressure}")
    n = len(values)
    p = np.empty(n)
    p[np.argsort(values, kind="stable")] = (
        pressure - (2 * pressure - 2) * np.arange(n) / max(n - 1, 1)
    ) / n
    return rng.choice(n, size=count, p=p / p.sum())


SELECTIONS = {"roulette": roulette, "tournament": tournament, "rank": rank}
