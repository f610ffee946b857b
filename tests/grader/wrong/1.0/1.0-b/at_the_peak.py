flop = 8.4e22
days = 8.4e22 / (256 * 400e12 * 86400)
accelerators = 3
