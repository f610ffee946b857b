field = 3070
paths = 10
frames = 11
masked = 1 - 0.95**8
