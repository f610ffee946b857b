proof = "EBFG"
