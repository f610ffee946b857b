proof = "DEBFA"
