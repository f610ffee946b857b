import numpy as np


def hit_rate(scores, target, seen, k):
    rows = np.arange(len(scores))
    own = scores[rows, target][:, None]
    others = ~seen
    others[rows, target] = False
    above = (others & (scores >= own)).sum(axis=1)
    return (above < k).mean()
