def rescale(weights, biases, layer):
    weights, biases = list(weights), list(biases)
    weights[layer] = 2 * weights[layer]
    weights[layer + 1] = weights[layer + 1] / 2
    return weights, biases
