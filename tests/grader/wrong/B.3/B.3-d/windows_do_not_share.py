proof = "CAFDEBG"
