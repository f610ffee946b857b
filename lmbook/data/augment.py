"""Changes to a batch of images after which their label is still right. Shapes (N, C, H, W)."""

import numpy as np


def _batch(name: str, images: np.ndarray) -> np.ndarray:
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(f"{name}: want images (N, C, H, W), got shape {images.shape}")
    return images


def random_flip(
    images: np.ndarray, generator: np.random.Generator, p: float = 0.5, axis: int = -1
) -> np.ndarray:
    """Each image mirrored with probability `p`: left and right (axis -1), or up and down (-2)."""
    images = _batch("random_flip", images)
    flipped = generator.random(len(images)) < p
    return np.where(flipped[:, None, None, None], np.flip(images, axis), images)


def rotate(images: np.ndarray, degrees: np.ndarray | float) -> np.ndarray:
    """Each image turned counter-clockwise about its centre, same size, zeros coming in.

    `degrees` is one angle or one an image. Pixel (y, x) of the result is read at the place that
    turns into it, by bilinear interpolation of the four pixels round it; where one of these lies
    outside, it counts as zero (as `torch.nn.functional.grid_sample` with zeros as padding).
    """
    images = _batch("rotate", images)
    n, _, height, width = images.shape
    angle = np.radians(np.broadcast_to(np.asarray(degrees, dtype=np.float64), (n,)))
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    y = np.arange(height)[:, None] - (height - 1) / 2
    x = np.arange(width)[None, :] - (width - 1) / 2
    from_y = cos * y + sin * x + (height - 1) / 2  # (N, H, W)
    from_x = cos * x - sin * y + (width - 1) / 2
    top, left = np.floor(from_y).astype(int), np.floor(from_x).astype(int)
    padded = np.pad(images, ((0, 0), (0, 0), (1, 2), (1, 2)))  # no index below -1 or above H + 1
    out = np.zeros((n, height, width, images.shape[1]))
    which = np.arange(n)[:, None, None]
    for dy in (0, 1):
        for dx in (0, 1):
            weight = np.abs(1 - dy - (from_y - top)) * np.abs(1 - dx - (from_x - left))
            rows = np.clip(top + dy, -1, height) + 1
            columns = np.clip(left + dx, -1, width) + 1
            out += weight[..., None] * padded[which, :, rows, columns]
    return np.ascontiguousarray(out.transpose(0, 3, 1, 2), dtype=images.dtype)


def random_rotation(images: np.ndarray, most: float, generator: np.random.Generator) -> np.ndarray:
    """Each image turned by an angle drawn from [-most, most] degrees."""
    return rotate(images, generator.uniform(-most, most, size=len(images)))


def random_crop(
    images: np.ndarray,
    size: int | tuple[int, int],
    generator: np.random.Generator,
    padding: int = 0,
) -> np.ndarray:
    """A window of `size` (height, width) from a random place of each image, zeros around it first."""
    images = _batch("random_crop", images)
    height, width = (size, size) if isinstance(size, int) else size
    around = (padding, padding)
    padded = np.pad(images, ((0, 0), (0, 0), around, around))
    n, _, full_height, full_width = padded.shape
    if not (0 < height <= full_height and 0 < width <= full_width):
        raise ValueError(
            f"random_crop: a window of {height} x {width} does not fit images of {full_height} x "
            f"{full_width} (padding {padding} included)"
        )
    top = generator.integers(0, full_height - height + 1, size=n)
    left = generator.integers(0, full_width - width + 1, size=n)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
    return np.ascontiguousarray(windows[np.arange(n), :, top, left])


def cutout(images: np.ndarray, size: int, generator: np.random.Generator) -> np.ndarray:
    """A square of `size` pixels set to zero in each image, its centre anywhere in the image.

    Near the border part of the square lies outside. Source: DeVries and Taylor (2017).
    """
    images = _batch("cutout", images)
    n, _, height, width = images.shape
    if size < 0:
        raise ValueError(f"cutout: size {size} must not be negative")
    top = generator.integers(height, size=(n, 1, 1)) - size // 2
    left = generator.integers(width, size=(n, 1, 1)) - size // 2
    y, x = np.arange(height)[:, None], np.arange(width)[None, :]
    hole = (y >= top) & (y < top + size) & (x >= left) & (x < left + size)  # (N, H, W)
    return np.where(hole[:, None], images.dtype.type(0), images)


def mixup(
    images: np.ndarray, targets: np.ndarray, generator: np.random.Generator, alpha: float = 0.2
) -> tuple[np.ndarray, np.ndarray]:
    """Each image mixed with another of the batch, and its target in the same way.

        x' = λ x_i + (1 - λ) x_j,   y' = λ y_i + (1 - λ) y_j,   λ ~ Beta(α, α)

    `targets` are probabilities of classes, shape (N, K): see `one_hot`. Source: Zhang et al. (2018).
    """
    images, targets = _batch("mixup", images), np.asarray(targets)
    if targets.ndim != 2 or len(targets) != len(images):
        raise ValueError(
            f"mixup: {len(images)} images with targets of shape {targets.shape}; want "
            "probabilities (N, classes), for labels use one_hot"
        )
    if not np.issubdtype(targets.dtype, np.floating):
        raise ValueError(f"mixup: targets are {targets.dtype}; want floating-point probabilities")
    share = generator.beta(alpha, alpha, size=len(images))
    partner = generator.permutation(len(images))
    return _mix(images, partner, share), _mix(targets, partner, share)


def _mix(x: np.ndarray, partner: np.ndarray, share: np.ndarray) -> np.ndarray:
    λ = share.reshape(-1, *[1] * (x.ndim - 1))
    return (λ * x + (1 - λ) * x[partner]).astype(x.dtype)


def brightness(
    images: np.ndarray,
    most: float,
    generator: np.random.Generator,
    limits: tuple[float, float] = (0, 1),
) -> np.ndarray:
    """Each image times a factor from [1 - most, 1 + most], cut off at `limits`."""
    images = _batch("brightness", images)
    factor = generator.uniform(1 - most, 1 + most, size=(len(images), 1, 1, 1))
    return np.clip(images * factor, limits[0], limits[1]).astype(images.dtype)
