proof = "EACD"
