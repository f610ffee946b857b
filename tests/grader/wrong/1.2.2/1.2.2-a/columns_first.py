def patchify(images, side):
    n, c, h, w = images.shape
    cut = images.reshape(n, c, h // side, side, w // side, side)
    return cut.transpose(0, 4, 2, 1, 3, 5).reshape(n, -1, c * side * side)


def unpatchify(tokens, side, channels, height, width):
    cut = tokens.reshape(
        len(tokens), width // side, height // side, channels, side, side
    )
    return cut.transpose(0, 3, 2, 4, 1, 5).reshape(len(tokens), channels, height, width)
