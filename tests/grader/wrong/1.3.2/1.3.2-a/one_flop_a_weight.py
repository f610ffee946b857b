import numpy as np


def work(b, k, n, itemsize):
    return b * k * n, itemsize * (b * k + k * n + b * n)


def batch_for(k, n, peak, bandwidth, itemsize):
    ridge = peak / bandwidth
    gain = k * n - ridge * itemsize * (k + n)
    return int(np.ceil(ridge * itemsize * k * n / gain)) if gain > 0 else None
