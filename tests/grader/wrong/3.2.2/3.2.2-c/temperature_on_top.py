winner = 1 - (9 / 10) ** 3
uphill = np.exp(-2 / 3)
last_bit = 100 / (99 / 100) ** 99
