proof = "ADEC"
