shuffles = 84
divergent = 5
passes = 4
