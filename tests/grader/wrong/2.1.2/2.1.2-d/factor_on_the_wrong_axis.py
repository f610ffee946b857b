def rescale(weights, biases, layer):
    weights, biases = list(weights), list(biases)
    factor = np.linspace(2, 3, len(biases[layer]))
    weights[layer] = factor[:, None] * weights[layer]
    biases[layer] = factor * biases[layer]
    weights[layer + 1] = (
        weights[layer + 1] / np.linspace(2, 3, len(weights[layer + 1]))[:, None]
    )
    return weights, biases
