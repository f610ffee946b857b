import numpy as np


def patchify(images, side):
    n, c, h, w = images.shape
    cut = images.reshape(n, c, h // side, side, w // side, side)
    return cut.transpose(0, 2, 4, 1, 3, 5).reshape(n, -1, c * side * side)


def unpatchify(tokens, side, channels, height, width):
    n, grid = len(tokens), int(np.sqrt(tokens.shape[1]))
    cut = tokens.reshape(n, grid, grid, channels, side, side)
    return cut.transpose(0, 3, 1, 4, 2, 5).reshape(n, channels, height, width)
