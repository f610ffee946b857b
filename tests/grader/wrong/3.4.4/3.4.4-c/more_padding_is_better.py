sectors = 2
bytes_each = 0.046875
passes = 1
