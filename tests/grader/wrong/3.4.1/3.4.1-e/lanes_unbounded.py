proof = "DAGEBHF"
