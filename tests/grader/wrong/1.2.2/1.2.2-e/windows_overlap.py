proof = "FBCHADG"
