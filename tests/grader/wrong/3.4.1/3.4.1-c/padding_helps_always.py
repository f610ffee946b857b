doubles = 9
passes = 1
divergent = 2
