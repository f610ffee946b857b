proof = "BFAHC"
