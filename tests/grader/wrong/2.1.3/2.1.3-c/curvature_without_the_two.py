largest_rate = 0.2
