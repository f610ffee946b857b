def first_hits(generations, targets):
    spent, hits = 0, np.full(len(targets), np.inf)
    for values in generations:
        spent += len(values)
        for k, target in enumerate(targets):
            if values.min() <= target and np.isinf(hits[k]):
                hits[k] = spent
    return hits
