def patchify(images, side):
    n, c, h, w = images.shape
    cut = images.reshape(n, c, h // side, side, w // side, side)
    return cut.transpose(0, 2, 4, 3, 5, 1).reshape(n, -1, c * side * side)


def unpatchify(tokens, side, channels, height, width):
    n = len(tokens)
    cut = tokens.reshape(n, height // side, width // side, side, side, channels)
    return cut.transpose(0, 5, 1, 3, 2, 4).reshape(n, channels, height, width)
