proof = "FCHADG"
