proof = "DAFBGE"
