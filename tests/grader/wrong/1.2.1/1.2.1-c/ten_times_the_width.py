matrices = 12 * 40 * 5120**2
gigabytes = 25.7
width = 122880
written = 151
