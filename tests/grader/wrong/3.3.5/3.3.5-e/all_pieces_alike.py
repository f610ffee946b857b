proof = "DCFAE"
