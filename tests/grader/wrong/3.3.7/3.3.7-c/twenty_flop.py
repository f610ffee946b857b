data = 8
billions = (1.2e24 / 20) ** 0.5 / 1e9
share = 50 * 20 / (50 * 20 + 2 * 200)
