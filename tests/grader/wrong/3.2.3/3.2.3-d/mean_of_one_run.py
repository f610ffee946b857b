proof = "CFAGBED"
