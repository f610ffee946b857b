proof = "CAFB"
