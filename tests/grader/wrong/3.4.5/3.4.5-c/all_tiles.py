extra = 640000
tiles = 25
factors = 2
