proof = "CFAEB"
