everything = 70 * 16
zero_1 = 70 * (4 + 12 / 64)
zero_3 = 70 * 16 / 64
enough = 28
sent = 2 * 140 * 63 / 64
