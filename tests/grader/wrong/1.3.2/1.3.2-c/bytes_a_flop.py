ridge = 0.01
share = 0.01
cycles = 56
tonnes = 129.6
