def layer(X, W, b):
    Z = X @ W.T + b[:, None]
    return np.maximum(Z, 0)
