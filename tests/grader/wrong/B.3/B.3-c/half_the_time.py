import numpy as np

windows = 4
loss = np.log(200)
backwards = 0.5
fused = 1 / 63 + 1 / 61
