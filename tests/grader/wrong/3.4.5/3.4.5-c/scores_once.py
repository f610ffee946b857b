extra = 160000
tiles = 15
factors = 2
