import numpy as np


def merge(o1, l1, o2, l2):
    return (o1 + o2) / 2, np.logaddexp(l1, l2)
