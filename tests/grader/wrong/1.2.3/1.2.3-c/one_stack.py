field = 1024
paths = 84
frames = 11
masked = 1 - 0.95**8
