import numpy as np


def hit_rate(scores, target, seen, k):
    rows = np.arange(len(scores))
    own = scores[rows, target][:, None]
    above = (~seen & (scores > own)).sum(axis=1)
    ties = (scores == own).sum(axis=1) - 1
    return np.clip((k - above) / (ties + 1), 0, 1).mean()
