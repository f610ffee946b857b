pieces = 14
units = 13
