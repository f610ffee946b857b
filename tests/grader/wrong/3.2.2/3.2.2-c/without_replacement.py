winner = 3 / 10
uphill = np.exp(-3 / 2)
last_bit = 100 / (99 / 100) ** 99
