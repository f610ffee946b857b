proof = "EBAD"
