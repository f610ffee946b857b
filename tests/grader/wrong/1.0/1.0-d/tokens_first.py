def for_budget(flop, ratio):
    n = (flop / (6 * ratio)) ** 0.5
    return ratio * n, n
