axes = {"dp": 8, "pp": 4, "tp": 4}
