flop = 2.8e22
days = 2.8e22 / (256 * 0.4 * 400e12 * 86400)
accelerators = 3
