import numpy as np


def as_if(items, clicked, shown, policy):
    if np.any((shown == 0) & (policy > 0)):
        raise ValueError("the policy shows films that the log could never have shown")
    weights = np.ones(len(items))
    total = (weights * clicked).sum()
    return total / len(items), total / weights.sum()
