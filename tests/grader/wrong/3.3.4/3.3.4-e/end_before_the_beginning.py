proof = "FDACB"
