largest_rate = 0.05
