import numpy as np

windows = np.ceil(800 / 320)
loss = np.log(200)
backwards = 0.4
fused = 1 / 63 + 1 / 61
