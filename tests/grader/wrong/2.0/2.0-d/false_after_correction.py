proof = "EBGCADF"
