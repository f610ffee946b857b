data = 8
billions = (1.2e24 / 120) ** 0.5 / 1e9
share = 50 * 20 / (50 * 20 + 200)
