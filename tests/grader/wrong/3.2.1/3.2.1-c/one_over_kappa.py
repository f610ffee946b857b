limit = 0.02
descent = 24 / 25
momentum = 4 / 5
variance = 3
