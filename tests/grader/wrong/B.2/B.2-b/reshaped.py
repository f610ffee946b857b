"""A reshape in place of the transposition."""

import numpy as np


def prepare(pixels, mean, std):
    x = (pixels.astype(np.float64) / 255 - mean) / std
    return x.reshape(3, *pixels.shape[:2])
