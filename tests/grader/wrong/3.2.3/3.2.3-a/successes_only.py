def running_time(hits, evaluations):
    success = np.isfinite(hits)
    count = success.sum(axis=-1)
    spent = np.where(success, hits, 0).sum(axis=-1)
    return np.where(count > 0, spent / np.maximum(count, 1), np.inf)
