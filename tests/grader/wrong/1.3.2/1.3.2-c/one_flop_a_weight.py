ridge = 100
share = 0.005
cycles = 56
tonnes = 129.6
