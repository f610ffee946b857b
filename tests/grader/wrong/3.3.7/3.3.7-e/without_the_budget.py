proof = "AFBHC"
