proof = "CFDAHBGE"
