proof = "DAFBGHC"
