doubles = 8
passes = 4
divergent = 2
