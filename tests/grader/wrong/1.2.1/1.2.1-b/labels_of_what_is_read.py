import numpy as np


def hide(ids, chosen, fate, other, mask):
    read = np.where(chosen & (fate < 0.8), mask, ids)
    read = np.where(chosen & (fate >= 0.9), other, read)
    return read, np.where(chosen, read, -100)
