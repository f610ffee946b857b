sectors = 4 / 2
bytes_each = 2 / 128
passes = 8
