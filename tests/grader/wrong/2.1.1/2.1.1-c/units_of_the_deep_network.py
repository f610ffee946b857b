pieces = 128
units = 14
