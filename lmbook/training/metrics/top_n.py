"""Lists of suggestions: how far up is the item that was held out?"""

from typing import Any

import numpy as np

from lmbook.backend import ShapeError


def target_ranks(
    scores: Any, target: Any, candidates: Any = None, generator: np.random.Generator | None = None
) -> np.ndarray:
    """Rank of each row's target among its candidates, from 0 for the best: (N,).

    `scores` (N, I), `target` (N,) the held-out item; `candidates` (N, I), true where an item may be
    suggested (all, unless given; the target always). Ties are broken by lot (`generator`, seed 0 unless
    given): a model that scores all alike gets what chance gets.
    """
    scores, target = np.asarray(scores, np.float64), np.asarray(target)
    if scores.ndim != 2 or target.shape != scores.shape[:1]:
        raise ShapeError(
            f"target_ranks: scores {scores.shape} and target {target.shape} must be (N, items) and (N,)"
        )
    if not np.isfinite(scores).all():
        raise ValueError("target_ranks: scores must be finite; leave items out by `candidates`")
    own = scores[np.arange(len(scores)), target][:, None]
    allowed = np.ones(scores.shape, bool) if candidates is None else np.array(candidates, bool)
    allowed[np.arange(len(scores)), target] = False
    above = (allowed & (scores > own)).sum(axis=1)
    ties = (allowed & (scores == own)).sum(axis=1)
    return above + (generator or np.random.default_rng(0)).integers(0, ties + 1)


def hit_rate(ranks: Any, k: int = 10) -> float:
    """HR@k: share of targets among the first k."""
    return float((np.asarray(ranks) < k).mean())


def ndcg(ranks: Any, k: int = 10) -> float:
    """NDCG@k with one relevant item: mean of 1 / log2(rank + 2) where the rank, from 0, is below k."""
    ranks = np.asarray(ranks)
    return float(np.where(ranks < k, 1 / np.log2(ranks + 2.0), 0).mean())
