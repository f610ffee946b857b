proof = "DAFBHICG"
