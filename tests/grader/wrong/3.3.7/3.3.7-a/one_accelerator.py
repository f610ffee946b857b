def mfu(tokens_per_second, parameters, layers, width, positions, accelerators, peak):
    flops = 6 * parameters + 12 * layers * positions * width
    return tokens_per_second * flops / peak
