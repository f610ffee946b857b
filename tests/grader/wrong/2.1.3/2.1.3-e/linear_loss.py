proof = "DCBAE"
