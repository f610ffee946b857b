winner = 1 - (9 / 10) ** 3
uphill = np.exp(-3 / 2)
last_bit = 100
