proof = "CFHGBE"
