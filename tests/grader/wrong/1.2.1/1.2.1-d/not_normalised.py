import numpy as np


def nucleus(p, top_p):
    order = np.argsort(-p)
    kept = np.zeros_like(p)
    inside = order[np.cumsum(p[order]) - p[order] < top_p]
    kept[inside] = p[inside]
    return kept
