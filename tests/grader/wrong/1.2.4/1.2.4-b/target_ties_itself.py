import numpy as np


def hit_rate(scores, target, seen, k):
    rows = np.arange(len(scores))
    own = scores[rows, target][:, None]
    others = ~seen
    above = (others & (scores > own)).sum(axis=1)
    ties = (others & (scores == own)).sum(axis=1)
    return np.clip((k - above) / (ties + 1), 0, 1).mean()
