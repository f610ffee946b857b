flop = 6 * 400e9 * 10e12
hours = flop / (0.4 * 1e15 * 3600)
state = 6400
