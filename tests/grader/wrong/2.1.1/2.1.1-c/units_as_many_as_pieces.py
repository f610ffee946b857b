pieces = 128
units = 128
