matrices = 12 * 40 * 5120**2
gigabytes = 51.4
width = 38975
written = 151
