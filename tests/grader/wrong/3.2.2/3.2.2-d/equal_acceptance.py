proof = "FCDAEBG"
