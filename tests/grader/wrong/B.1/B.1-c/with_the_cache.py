megabytes = 2 * 12 * 1024 * 768 * 4 / 1e6
positions = 127
share = 0.5**2 / (0.5**2 + 0.3**2 + 0.2**2)
kept = 4
