proof = "CFABEG"
