rate = 0.04
