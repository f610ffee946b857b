proof = "CAFEGB"
