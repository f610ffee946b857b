proof = "FCAEGB"
