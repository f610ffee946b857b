proof = "CAFEBGH"
