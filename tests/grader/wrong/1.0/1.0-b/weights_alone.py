flop = 8.4e22
days = 8.4e22 / (256 * 0.4 * 400e12 * 86400)
accelerators = 1
