proof = "CFHAEDG"
