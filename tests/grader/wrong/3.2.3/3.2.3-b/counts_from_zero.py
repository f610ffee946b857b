def first_hits(generations, targets):
    values = np.concatenate(generations)
    hits = np.full(len(targets), np.inf)
    for k, target in enumerate(targets):
        found = np.flatnonzero(values <= target)
        if len(found):
            hits[k] = found[0]
    return hits
