field = 3070
paths = 84
frames = 11
masked = 0.05 * 8
