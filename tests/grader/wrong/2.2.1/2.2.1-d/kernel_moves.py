proof = "ABD"
