proof = "CFAE"
