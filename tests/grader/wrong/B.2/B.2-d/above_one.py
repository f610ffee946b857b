"""It looks only at temperatures from 1 on."""

import numpy as np


def temperature(logits, labels):
    z = logits - logits.max(axis=1, keepdims=True)
    rows = np.arange(len(z))

    def loss(t):
        return (np.log(np.exp(z / t).sum(axis=1)) - z[rows, labels] / t).mean()

    return min(np.geomspace(1, 50, 4000), key=loss)
