def rescale(weights, biases, layer):
    weights, biases = list(weights), list(biases)
    factor = 2
    weights[layer] = factor * weights[layer]
    biases[layer] = factor * biases[layer]
    weights[layer + 1] = factor * weights[layer + 1]
    return weights, biases
