"""Small things done to arrays before a model sees them."""

import numpy as np


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """float32 of shape (*labels.shape, classes): 1 at the label, 0 elsewhere."""
    labels = np.asarray(labels)
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(
            f"one_hot: labels from {labels.min()} to {labels.max()} do not fit {classes} classes"
        )
    return np.eye(classes, dtype=np.float32)[labels]


def normalise(
    x: np.ndarray, mean: np.ndarray | float, std: np.ndarray | float, eps: float = 1e-8
) -> np.ndarray:
    """(x - mean) / (std + eps), in x's type. Take mean and std from the training part."""
    x = np.asarray(x)
    return ((x - mean) / (np.asarray(std) + eps)).astype(x.dtype)


def random_shift(images: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    """Each image moved by up to `most` pixels both ways, zeros coming in. Shape (N, C, H, W)."""
    n, _, height, width = images.shape
    padded = np.pad(images, ((0, 0), (0, 0), (most, most), (most, most)))
    top, left = generator.integers(0, 2 * most + 1, size=(2, n))
    rows = top[:, None] + np.arange(height)  # (N, H)
    columns = left[:, None] + np.arange(width)  # (N, W)
    picked = padded[np.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return np.ascontiguousarray(picked.transpose(0, 3, 1, 2))  # (N, H, W, C) -> (N, C, H, W)
