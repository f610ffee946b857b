def prepare(x, n_test, rng):
    x = np.unique(x, axis=0)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    order = rng.permutation(len(x))
    test, train = x[order[:n_test]], x[order[n_test:]]
    return train, test
