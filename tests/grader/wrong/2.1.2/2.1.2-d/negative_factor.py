def rescale(weights, biases, layer):
    weights, biases = list(weights), list(biases)
    weights[layer] = -weights[layer]
    biases[layer] = -biases[layer]
    weights[layer + 1] = -weights[layer + 1]
    return weights, biases
