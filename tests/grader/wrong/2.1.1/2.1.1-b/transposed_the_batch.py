def layer(X, W, b):
    Z = W @ X.T + b[:, None]
    return np.maximum(Z, 0)
