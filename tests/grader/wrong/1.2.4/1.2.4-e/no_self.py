proof = "DAFEBHCG"
