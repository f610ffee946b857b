def for_budget(flop, ratio):
    n = (flop / 120) ** 0.5
    return n, 20 * n
