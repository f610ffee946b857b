proof = "ECFABD"
