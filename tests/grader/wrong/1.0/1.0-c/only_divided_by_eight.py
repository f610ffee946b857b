def training_bytes(parameters, optimiser):
    kept = {"sgd": 0, "momentum": 1, "adam": 2}[optimiser]
    return parameters * (16 + 16 + 32 * kept) / 8
