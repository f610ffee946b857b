proof = "CGBDAE"
