proof = "DBAE"
