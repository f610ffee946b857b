proof = "BDAFCE"
