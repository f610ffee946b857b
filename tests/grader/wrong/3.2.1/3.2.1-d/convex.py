proof = "CE"
