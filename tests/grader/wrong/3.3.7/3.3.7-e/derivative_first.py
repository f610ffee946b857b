proof = "FDABHC"
