proof = "DFABGC"
