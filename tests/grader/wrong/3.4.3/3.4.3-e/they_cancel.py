proof = "CFAGBD"
