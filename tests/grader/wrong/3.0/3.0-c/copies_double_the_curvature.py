rate = 0.0002
