def prepare(x, n_test, rng):
    order = rng.permutation(len(x))
    test, train = x[order[:n_test]], np.unique(x[order[n_test:]], axis=0)
    mean, std = train.mean(axis=0), train.std(axis=0)
    return (train - mean) / std, (test - mean) / std
