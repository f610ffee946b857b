proof = "CAFGB"
