proof = "CHAEBD"
