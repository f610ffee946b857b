proof = "CGBFHDAE"
