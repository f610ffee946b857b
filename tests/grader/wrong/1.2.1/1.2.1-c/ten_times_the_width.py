matrices = 12 * 96 * 12288**2
gigabytes = 349.2
width = 122880
guesses = 76.8
