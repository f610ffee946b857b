def for_budget(flop, ratio):
    n = flop / 6 / (1 + ratio)
    return n, ratio * n
