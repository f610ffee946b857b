def prepare(x, n_test, rng):
    x = np.unique(x, axis=0)
    order = rng.permutation(len(x))
    test, train = x[order[:n_test]], x[order[n_test:]]
    return (train - train.mean(axis=0)) / train.std(axis=0), (
        test - test.mean(axis=0)
    ) / test.std(axis=0)
