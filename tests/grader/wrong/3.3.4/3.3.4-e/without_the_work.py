proof = "DFCB"
