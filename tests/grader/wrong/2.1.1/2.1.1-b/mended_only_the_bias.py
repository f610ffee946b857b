def layer(X, W, b):
    Z = X @ W + b
    return np.maximum(Z, 0)
