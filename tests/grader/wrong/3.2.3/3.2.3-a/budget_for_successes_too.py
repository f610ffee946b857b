def running_time(hits, evaluations):
    count = np.isfinite(hits).sum(axis=-1)
    return np.where(count > 0, evaluations.sum(axis=-1) / np.maximum(count, 1), np.inf)
