import numpy as np

windows = 4
loss = np.log(200)
backwards = 0.4
fused = 1 / 3 + 1 / 1
