proof = "DABEF"
