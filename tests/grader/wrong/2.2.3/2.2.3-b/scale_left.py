def attend(q, k, v):
    scores = q @ k.T / q.shape[1]
    e = np.exp(scores)
    return (e / e.sum(axis=1, keepdims=True)) @ v
