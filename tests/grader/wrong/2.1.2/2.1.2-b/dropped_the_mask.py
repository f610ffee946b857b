def backward(X, Y, weights, biases):
    hidden = np.maximum(X @ weights[0].T + biases[0], 0)
    output = hidden @ weights[1].T + biases[1]
    delta = (output - Y) / len(X)
    to_w2, to_b2 = delta.T @ hidden, delta.sum(axis=0)
    delta = delta @ weights[1]
    return [delta.T @ X, to_w2], [delta.sum(axis=0), to_b2]
