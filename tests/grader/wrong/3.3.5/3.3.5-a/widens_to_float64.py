import numpy as np


def merge(o1, l1, o2, l2):
    o1, l1, o2, l2 = (np.asarray(x, dtype=np.float64) for x in (o1, l1, o2, l2))
    both = np.logaddexp(l1, l2)
    safe = np.where(np.isfinite(both), both, 0.0)
    return np.exp(l1 - safe) * o1 + np.exp(l2 - safe) * o2, both
