proof = "CBEA"
