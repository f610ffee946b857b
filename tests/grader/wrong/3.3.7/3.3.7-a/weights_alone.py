def mfu(tokens_per_second, parameters, layers, width, positions, accelerators, peak):
    return tokens_per_second * 6 * parameters / (accelerators * peak)
