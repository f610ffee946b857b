proof = "DAGCEIHF"
