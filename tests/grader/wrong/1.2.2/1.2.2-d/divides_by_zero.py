import numpy as np


def cam(maps, slopes):
    found = np.maximum((slopes.mean(axis=(1, 2))[:, None, None] * maps).sum(axis=0), 0)
    return found / found.max()
