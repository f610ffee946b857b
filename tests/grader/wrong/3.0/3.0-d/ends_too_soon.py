proof = "DAEFC"
