import numpy as np


def best_span(start, end, allowed, most):
    i = int(np.where(allowed, start, -np.inf).argmax())
    ends = np.where(allowed, end, -np.inf)[i : i + most]
    return i, i + int(ends.argmax())
