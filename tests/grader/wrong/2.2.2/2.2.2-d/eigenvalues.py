proof = "EBCGF"
