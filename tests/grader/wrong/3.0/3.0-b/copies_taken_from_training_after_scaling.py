def prepare(x, n_test, rng):
    order = rng.permutation(len(x))
    test, train = x[order[:n_test]], x[order[n_test:]]
    train = train[[not (row == test).all(axis=1).any() for row in train]]
    mean, std = train.mean(axis=0), train.std(axis=0)
    return (np.unique(train, axis=0) - mean) / std, (test - mean) / std
