def out_of_bag(members, samples, X, y):
    right = []
    for member, rows in zip(members, samples):
        out = np.setdiff1d(np.arange(len(X)), rows)
        right.append((member.predict(X[out]) == y[out]).mean())
    return np.mean(right)
