proof = "DFAHBG"
