flop = 1.2e24
hours = flop / (1e15 * 3600)
state = 6400
