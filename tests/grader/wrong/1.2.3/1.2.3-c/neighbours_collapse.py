field = 3070
paths = 84
frames = 9
masked = 1 - 0.95**8
