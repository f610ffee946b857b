def out_of_bag(members, samples, X, y):
    votes = np.mean([member.predict_proba(X) for member in members], axis=0)
    return (votes.argmax(axis=1) == y).mean()
