proof = "EBDF"
