proof = "DFAHIEG"
