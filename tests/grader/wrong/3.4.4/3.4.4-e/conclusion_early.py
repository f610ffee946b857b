proof = "ECAGDB"
