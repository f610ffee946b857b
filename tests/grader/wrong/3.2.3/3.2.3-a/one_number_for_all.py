def running_time(hits, evaluations):
    success = np.isfinite(hits)
    if not success.any():
        return np.inf
    return np.where(success, hits, evaluations).sum() / success.sum()
