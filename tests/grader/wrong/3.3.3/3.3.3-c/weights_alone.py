everything = 140
zero_1 = 70 * (4 + 12 / 64)
zero_3 = 70 * 16 / 64
enough = 28
sent = 3 * 140 * 63 / 64
