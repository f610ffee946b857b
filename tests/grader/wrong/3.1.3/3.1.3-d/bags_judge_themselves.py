def out_of_bag(members, samples, X, y):
    votes = np.zeros((len(X), 2))
    for member, rows in zip(members, samples):
        rows = np.unique(rows)
        votes[rows] += member.predict_proba(X[rows])
    judged = votes.sum(axis=1) > 0
    return (votes.argmax(axis=1) == y)[judged].mean()
