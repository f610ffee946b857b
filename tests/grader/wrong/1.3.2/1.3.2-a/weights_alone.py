import numpy as np


def work(b, k, n, itemsize):
    return 2 * b * k * n, itemsize * k * n


def batch_for(k, n, peak, bandwidth, itemsize):
    return int(np.ceil(peak / bandwidth * itemsize / 2))
