def layer(X, W, b):
    Z = X @ W.T - b
    return np.maximum(Z, 0)
