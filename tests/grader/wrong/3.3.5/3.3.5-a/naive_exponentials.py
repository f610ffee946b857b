import numpy as np


def merge(o1, l1, o2, l2):
    a, b = np.exp(l1), np.exp(l2)
    return (a * o1 + b * o2) / (a + b), np.log(a + b)
