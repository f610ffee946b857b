"""Exponentials of the logits as they are."""

import numpy as np


def temperature(logits, labels):
    rows = np.arange(len(logits))

    def loss(t):
        with np.errstate(all="ignore"):
            p = np.exp(logits / t)
            p = p / p.sum(axis=1, keepdims=True)
            value = -np.log(p[rows, labels]).mean()
        return value if np.isfinite(value) else 1e9

    return min(np.geomspace(0.02, 50, 4000), key=loss)
