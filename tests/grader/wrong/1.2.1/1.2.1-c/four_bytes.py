matrices = 12 * 96 * 12288**2
gigabytes = 698.4
width = 38975
guesses = 76.8
