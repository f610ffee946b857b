pieces = 64
units = 63
