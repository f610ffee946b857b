fits = 600
lucky = 1 - 0.9**20
passes = 64 + 16 * 3 + 4 * 12 + 48
