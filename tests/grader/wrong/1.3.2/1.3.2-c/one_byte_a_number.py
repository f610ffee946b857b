ridge = 100
share = 0.02
cycles = 56
tonnes = 129.6
