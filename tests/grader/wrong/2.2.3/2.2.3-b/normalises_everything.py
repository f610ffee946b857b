def attend(q, k, v):
    scores = q @ k.T / np.sqrt(q.shape[1])
    e = np.exp(scores)
    return (e / e.sum()) @ v
