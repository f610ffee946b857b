proof = "CFEB"
