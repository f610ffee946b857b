import numpy as np


def hide(ids, chosen, fate, other, mask):
    read = np.where(chosen & (fate < 0.8), mask, ids)
    return np.where(chosen & (fate >= 0.8), other, read), np.where(chosen, ids, -100)
