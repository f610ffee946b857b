proof = "DAFCEG"
