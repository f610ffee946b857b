proof = "DAGCB"
