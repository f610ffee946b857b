import numpy as np


def nucleus(p, top_p):
    p = np.sort(p)[::-1]
    kept = np.where(np.cumsum(p) - p < top_p, p, 0)
    return kept / kept.sum()
