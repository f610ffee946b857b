import numpy as np


def as_if(items, clicked, shown, policy):
    if np.any(shown == 0):
        raise ValueError("some film was never shown")
    weights = policy[items] / shown[items]
    total = (weights * clicked).sum()
    return total / len(items), total / weights.sum()
