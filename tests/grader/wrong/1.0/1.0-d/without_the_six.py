def for_budget(flop, ratio):
    n = (flop / ratio) ** 0.5
    return n, ratio * n
