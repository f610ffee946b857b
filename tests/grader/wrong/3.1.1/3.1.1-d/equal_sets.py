proof = "CFGE"
