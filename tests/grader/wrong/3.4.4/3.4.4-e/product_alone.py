proof = "EFAGBD"
