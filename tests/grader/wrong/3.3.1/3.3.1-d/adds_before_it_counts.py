proof = "DAGFBC"
