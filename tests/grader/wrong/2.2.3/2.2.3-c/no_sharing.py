weights = 1048576
