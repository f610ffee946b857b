proof = "BCAE"
