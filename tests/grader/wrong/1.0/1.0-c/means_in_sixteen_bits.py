def training_bytes(parameters, optimiser):
    kept = {"sgd": 0, "momentum": 1, "adam": 2}[optimiser]
    return parameters * (2 + 2 + 4 + 2 * kept)
