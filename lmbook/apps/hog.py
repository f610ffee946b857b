"""Histograms of oriented gradients: how a picture was described before networks learned to.

Source: Dalal and Triggs 2005.
"""

import numpy as np

from lmbook.backend import ShapeError


def hog(images: np.ndarray, cell: int = 10, bins: int = 9, eps: float = 1e-5) -> np.ndarray:
    """Features (N, F) of grey pictures (N, 1, H, W), whose sides `cell` divides.

    1. The gradient of each pixel, by central differences (0 at the border), with length and direction,
       where opposite directions are one.
    2. Each cell of `cell` by `cell` pixels: a histogram of the directions, weighted by length, in which a
       gradient is shared between the two nearest of the `bins`.
    3. Each block of 2 by 2 neighbouring cells, which overlap: divided by its length, cut off at 0.2, and
       divided by its length again. So a weak and a strong light give the same.
    """
    if images.ndim != 4 or images.shape[1] != 1 or images.shape[2] % cell or images.shape[3] % cell:
        raise ShapeError(
            f"hog: wants grey pictures (N, 1, H, W) of sides that {cell} divides, got {images.shape}"
        )
    x = images[:, 0].astype(np.float64)
    dy, dx = np.zeros_like(x), np.zeros_like(x)
    dy[:, 1:-1] = x[:, 2:] - x[:, :-2]
    dx[:, :, 1:-1] = x[:, :, 2:] - x[:, :, :-2]
    length = np.hypot(dx, dy)
    place = (np.arctan2(dy, dx) % np.pi) / np.pi * bins - 0.5  # centres of bins are whole numbers
    low = np.floor(place)
    share = place - low
    n, height, width = x.shape
    rows, columns = height // cell, width // cell
    histogram = np.zeros((n, rows, columns, bins))
    for b in range(bins):
        weight = length * ((low % bins == b) * (1 - share) + ((low + 1) % bins == b) * share)
        histogram[..., b] = weight.reshape(n, rows, cell, columns, cell).sum(axis=(2, 4))
    quarters = [histogram[:, i : rows - 1 + i, j : columns - 1 + j] for i in (0, 1) for j in (0, 1)]
    blocks = np.concatenate(quarters, axis=-1)
    blocks = np.minimum(_unit(blocks, eps), 0.2)
    return _unit(blocks, eps).reshape(n, -1)


def _unit(x: np.ndarray, eps: float) -> np.ndarray:
    return x / np.sqrt((x**2).sum(axis=-1, keepdims=True) + eps**2)
