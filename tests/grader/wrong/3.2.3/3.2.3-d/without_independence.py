proof = "FAGBE"
