proof = "CDE"
