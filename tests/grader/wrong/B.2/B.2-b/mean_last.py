"""The mean is subtracted from what was divided already."""

import numpy as np


def prepare(pixels, mean, std):
    x = pixels.astype(np.float64) / 255
    return (x / std - mean).transpose(2, 0, 1)
