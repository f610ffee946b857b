proof = "GE"
