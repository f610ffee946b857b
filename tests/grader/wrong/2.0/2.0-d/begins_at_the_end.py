proof = "FEBGAD"
