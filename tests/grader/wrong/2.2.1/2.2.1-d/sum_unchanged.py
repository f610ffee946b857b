proof = "AEFD"
