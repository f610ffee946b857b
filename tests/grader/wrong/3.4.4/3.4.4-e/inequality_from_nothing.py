proof = "ECGABD"
