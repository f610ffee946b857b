proof = "BAFDHC"
