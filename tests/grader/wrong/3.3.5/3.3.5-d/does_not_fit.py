axes = {"dp": 16, "pp": 1, "tp": 4}
