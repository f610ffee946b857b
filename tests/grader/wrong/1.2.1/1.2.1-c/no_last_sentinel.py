matrices = 12 * 40 * 5120**2
gigabytes = 25.7
width = 38975
written = 150
