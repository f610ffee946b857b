rate = 4.0
