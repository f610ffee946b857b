sectors = 2
bytes_each = 0.09375
passes = 2
