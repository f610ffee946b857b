ridge = 100
share = 0.01
cycles = 40
tonnes = 129.6
