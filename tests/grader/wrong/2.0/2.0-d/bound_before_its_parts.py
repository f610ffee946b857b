proof = "EBDGAF"
