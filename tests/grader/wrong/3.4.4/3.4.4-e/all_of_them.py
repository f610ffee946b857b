proof = "ECFAGHBD"
