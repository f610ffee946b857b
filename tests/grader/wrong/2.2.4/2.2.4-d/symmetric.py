proof = "DEFAG"
