proof = "DAFE"
