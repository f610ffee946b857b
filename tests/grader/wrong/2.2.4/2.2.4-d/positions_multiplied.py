proof = "DBFCG"
