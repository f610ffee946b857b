def gpt_parameters(layers, width, vocabulary, positions):
    h = width
    return (vocabulary + positions) * h + layers * (12 * h * h + 4 * h) + 2 * h
