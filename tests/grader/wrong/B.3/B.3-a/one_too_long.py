import numpy as np


def best_span(start, end, allowed, most):
    i, j = np.indices((len(start), len(start)))
    valid = (i <= j) & (j <= i + most) & allowed[:, None] & allowed[None, :]
    best = np.where(valid, start[:, None] + end[None, :], -np.inf).argmax()
    return best // len(start), best % len(start)
