axes = {"tp": 4, "pp": 4, "dp": 4}
