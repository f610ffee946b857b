proof = "DFBAG"
