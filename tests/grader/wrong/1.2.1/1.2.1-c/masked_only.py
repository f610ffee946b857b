matrices = 12 * 96 * 12288**2
gigabytes = 349.2
width = 38975
guesses = 0.15 * 0.8 * 512
