doubles = 5
passes = 4
divergent = 2
