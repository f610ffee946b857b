def work(b, k, n, itemsize):
    return 2 * b * k * n, itemsize * (b * k + k * n + b * n)


def batch_for(k, n, peak, bandwidth, itemsize):
    ridge = peak / bandwidth
    gain = 2 * k * n - ridge * itemsize * (k + n)
    return int(ridge * itemsize * k * n / gain) if gain > 0 else None
