shuffles = 144
divergent = 6
passes = 4
