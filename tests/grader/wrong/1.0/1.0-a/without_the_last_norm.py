def gpt_parameters(layers, width, vocabulary, positions):
    h = width
    return (vocabulary + positions) * h + layers * (12 * h * h + 13 * h)
