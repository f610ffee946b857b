def patchify(images, side):
    n, c, h, w = images.shape
    return images.reshape(n, (h // side) * (w // side), c * side * side)


def unpatchify(tokens, side, channels, height, width):
    return tokens.reshape(len(tokens), channels, height, width)
