proof = "ADFCE"
