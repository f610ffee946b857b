proof = "CIGBHDAE"
