proof = "CAEBG"
