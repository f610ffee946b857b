import numpy as np

windows = 4
loss = 2 * np.log(200)
backwards = 0.4
fused = 1 / 63 + 1 / 61
