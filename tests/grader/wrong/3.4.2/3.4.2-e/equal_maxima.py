proof = "CJFAHDBGE"
