proof = "DAHFBE"
