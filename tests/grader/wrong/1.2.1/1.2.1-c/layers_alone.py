matrices = 12 * 40 * 5120**2
gigabytes = 2 * 12 * 40 * 5120**2 / 1e9
width = 38975
written = 151
