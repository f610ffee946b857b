growth = 32
spacing = 2**-6
interval = 47
precision = 0.154
