proof = "ADFBHCG"
