proof = "DBFG"
