import numpy as np


def block(x, w1, w2):
    def norm(y):
        return (y - y.mean(axis=1, keepdims=True)) / np.sqrt(
            y.var(axis=1, keepdims=True) + 1e-5
        )

    y = np.maximum(norm(x @ w1), 0)
    y = norm(y @ w2)
    return np.maximum(x + y, 0)
