proof = "CFAIDBGE"
