def predict(X, weights, biases):
    for w, b in zip(weights[:-1], biases[:-1]):
        X = np.maximum(X @ w.T + b, 0)
    return (X @ weights[-1].T + biases[-1]).argmax(axis=0)
