proof = "FAEBG"
