shuffles = 84
divergent = 11
passes = 4
