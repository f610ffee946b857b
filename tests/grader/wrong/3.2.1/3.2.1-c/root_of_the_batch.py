limit = 0.02
descent = 12 / 13
momentum = 2 / 3
variance = 12
