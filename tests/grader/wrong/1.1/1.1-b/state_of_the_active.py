flop = 1.2e24
hours = flop / (0.4 * 1e15 * 3600)
state = 320
