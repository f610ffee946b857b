proof = "DAFBGHE"
