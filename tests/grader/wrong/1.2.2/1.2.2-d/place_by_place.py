import numpy as np


def cam(maps, slopes):
    found = np.maximum((slopes * maps).sum(axis=0), 0)
    return found / found.max() if found.max() > 0 else found
