proof = "EFBAD"
