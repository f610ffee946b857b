import numpy as np


def nucleus(p, top_p):
    kept = np.where(p >= (1 - top_p) * p.max(), p, 0)
    return kept / kept.sum()
