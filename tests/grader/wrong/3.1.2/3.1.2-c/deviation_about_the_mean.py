growth = 26.4
spacing = 2**-6
interval = 46
precision = 0.154
