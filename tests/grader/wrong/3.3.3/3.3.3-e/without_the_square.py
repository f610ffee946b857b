proof = "DFBHE"
