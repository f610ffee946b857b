proof = "EBCAD"
