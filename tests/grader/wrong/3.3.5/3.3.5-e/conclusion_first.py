proof = "DBFEA"
