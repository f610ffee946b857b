rate = 0.004
