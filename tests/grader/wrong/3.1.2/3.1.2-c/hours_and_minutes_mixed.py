growth = 32
spacing = 2**-6
interval = 6
precision = 0.154
