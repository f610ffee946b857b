weights = 327680
