import numpy as np


def cam(maps, slopes):
    weights = np.maximum(slopes.mean(axis=(1, 2)), 0)
    found = np.maximum((weights[:, None, None] * maps).sum(axis=0), 0)
    return found / found.max() if found.max() > 0 else found
