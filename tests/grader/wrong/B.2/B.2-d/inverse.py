"""What multiplies the logits, in place of what divides them."""

import numpy as np


def temperature(logits, labels):
    z = logits - logits.max(axis=1, keepdims=True)
    rows = np.arange(len(z))

    def loss(beta):
        return (np.log(np.exp(beta * z).sum(axis=1)) - beta * z[rows, labels]).mean()

    return min(np.geomspace(0.02, 50, 4000), key=loss)
