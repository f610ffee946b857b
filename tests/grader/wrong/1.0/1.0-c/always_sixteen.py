def training_bytes(parameters, optimiser):
    return 16 * parameters
