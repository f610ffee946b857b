shuffles = 84
divergent = 6
passes = 1
