sectors = 2
bytes_each = 0.01171875
passes = 2
