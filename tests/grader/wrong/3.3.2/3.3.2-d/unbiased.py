proof = "EBFADHC"
