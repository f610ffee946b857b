proof = "EAFDB"
