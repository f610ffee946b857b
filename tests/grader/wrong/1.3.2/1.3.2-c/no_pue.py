ridge = 100
share = 0.01
cycles = 56
tonnes = 108
