sectors = 2.5
bytes_each = 0.046875
passes = 2
