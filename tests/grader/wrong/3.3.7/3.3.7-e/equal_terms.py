proof = "DAFBEHC"
