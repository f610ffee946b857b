megabytes = 12 * 1024 * 768 * 4 / 1e6
positions = (28 + 127) * 100 / 2
share = 0.5**2 / (0.5**2 + 0.3**2 + 0.2**2)
kept = 4
