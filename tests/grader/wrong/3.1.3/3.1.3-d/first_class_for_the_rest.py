def out_of_bag(members, samples, X, y):
    votes = np.zeros((len(X), 2))
    for member, rows in zip(members, samples):
        out = np.setdiff1d(np.arange(len(X)), rows)
        votes[out] += member.predict_proba(X[out])
    return (votes.argmax(axis=1) == y).mean()
