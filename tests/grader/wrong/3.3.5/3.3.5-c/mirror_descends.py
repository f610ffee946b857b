import numpy as np


def shares(length, ranks):
    half = np.arange(length // 2).reshape(ranks, -1)
    return [np.concatenate([p, length - 1 - p]) for p in half]
