import numpy as np


def merge(o1, l1, o2, l2):
    top = np.maximum(l1, l2)
    a, b = np.exp(l1 - top), np.exp(l2 - top)
    return (a * o1 + b * o2) / (a + b), np.log(a + b)
