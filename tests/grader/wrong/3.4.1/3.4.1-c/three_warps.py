doubles = 9
passes = 4
divergent = 3
