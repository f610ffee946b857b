import numpy as np

chance = 10 / 100
gain = (1 / np.log2(2) + 1 / np.log2(4)) / 4
products = 16 * 30
parameters = 1500 * 16 + (32 * 16 + 16) + (16 * 8 + 8) + (8 + 1)
