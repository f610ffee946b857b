def gpt_parameters(layers, width, vocabulary, positions):
    h = width
    return layers * ((vocabulary + positions) * h + 12 * h * h + 13 * h) + 2 * h
