extra = 640000
tiles = 15
factors = 3
