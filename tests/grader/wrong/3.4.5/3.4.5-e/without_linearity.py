proof = "CAEGBD"
