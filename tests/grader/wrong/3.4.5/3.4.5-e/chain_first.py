proof = "GCAEBHD"
