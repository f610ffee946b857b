def smoothed_cross_entropy(z, y, s):
    z -= z.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    n, classes = z.shape
    target = (1 - s) * np.eye(classes)[y] + s / classes
    return -(target * log_p).sum() / n, (np.exp(log_p) - target) / n
