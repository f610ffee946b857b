proof = "BFADHCG"
