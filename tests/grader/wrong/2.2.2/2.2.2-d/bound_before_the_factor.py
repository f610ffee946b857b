proof = "EBCFA"
