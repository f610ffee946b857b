def smoothed_cross_entropy(z, y, s):
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    n, classes = z.shape
    target = (1 - s) * np.eye(classes)[y] + s / classes
    return -(target * np.log(p)).sum() / n, (p - target) / n
