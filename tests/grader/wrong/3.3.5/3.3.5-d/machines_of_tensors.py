axes = {"dp": 4, "pp": 2, "tp": 8}
