proof = "ACEB"
