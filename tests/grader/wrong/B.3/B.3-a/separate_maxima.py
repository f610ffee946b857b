import numpy as np


def best_span(start, end, allowed, most):
    i = int(np.where(allowed, start, -np.inf).argmax())
    j = int(np.where(allowed, end, -np.inf).argmax())
    return i, j
