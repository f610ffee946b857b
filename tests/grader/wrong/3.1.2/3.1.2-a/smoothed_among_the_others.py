def smoothed_cross_entropy(z, y, s):
    m = z.max(axis=1, keepdims=True)
    log_p = z - m - np.log(np.exp(z - m).sum(axis=1, keepdims=True))
    n, classes = z.shape
    hot = np.eye(classes)[y]
    target = (1 - s) * hot + s / (classes - 1) * (1 - hot)
    return -(target * log_p).sum() / n, (np.exp(log_p) - target) / n
