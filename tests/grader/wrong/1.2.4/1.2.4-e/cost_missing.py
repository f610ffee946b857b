proof = "DAFBHC"
