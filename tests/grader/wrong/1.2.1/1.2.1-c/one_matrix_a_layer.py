matrices = 96 * 12288**2
gigabytes = 349.2
width = 38975
guesses = 76.8
