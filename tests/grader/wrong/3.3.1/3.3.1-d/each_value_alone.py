proof = "DAFBEGC"
