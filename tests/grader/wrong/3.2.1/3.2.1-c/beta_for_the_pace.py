limit = 0.02
descent = 12 / 13
momentum = 4 / 9
variance = 3
