shuffles = 80
divergent = 6
passes = 4
