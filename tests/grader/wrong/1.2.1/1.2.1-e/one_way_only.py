proof = "DAFBC"
