import numpy as np

chance = 10 / 100
gain = (1 + 1 / np.log2(3) + 1 / np.log2(11)) / 4
products = 16 * 30 * 29 / 2
parameters = 1500 * 16 + (32 * 16 + 16) + (16 * 8 + 8) + (8 + 1)
