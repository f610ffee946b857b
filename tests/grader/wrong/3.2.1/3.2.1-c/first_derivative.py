limit = 0.04
descent = 12 / 13
momentum = 2 / 3
variance = 3
