proof = "DAFC"
