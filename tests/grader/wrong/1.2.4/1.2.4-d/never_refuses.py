import numpy as np


def as_if(items, clicked, shown, policy):
    weights = policy[items] / shown[items]
    total = (weights * clicked).sum()
    return total / len(items), total / weights.sum()
