proof = "CFHDBGE"
