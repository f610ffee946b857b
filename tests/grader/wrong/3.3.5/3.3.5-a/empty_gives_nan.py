import numpy as np


def merge(o1, l1, o2, l2):
    both = np.logaddexp(l1, l2)
    return np.exp(l1 - both) * o1 + np.exp(l2 - both) * o2, both
