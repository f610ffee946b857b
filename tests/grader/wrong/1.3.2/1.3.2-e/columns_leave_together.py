proof = "FCHAIEDG"
