growth = 32
spacing = 2**-7
interval = 46
precision = 0.154
