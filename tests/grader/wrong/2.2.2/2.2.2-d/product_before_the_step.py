proof = "BCEAF"
