"""Augmented images are what PyTorch, SciPy and plain loops make of the same draws."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from lmbook import data

IMAGES = np.random.default_rng(0).random((6, 3, 9, 12))


def by_grid_sample(images, degrees):
    """torch: the affine grid works in units of half the image, so a turn is sheared there."""
    n, _, h, w = images.shape
    angle = np.radians(np.broadcast_to(degrees, n))
    cos, sin = np.cos(angle), np.sin(angle)
    zero = np.zeros(n)
    theta = np.stack(
        [
            np.stack([cos, -sin * (h - 1) / (w - 1), zero], 1),
            np.stack([sin * (w - 1) / (h - 1), cos, zero], 1),
        ],
        axis=1,
    )
    grid = torch.nn.functional.affine_grid(torch.tensor(theta), images.shape, align_corners=True)
    return torch.nn.functional.grid_sample(torch.tensor(images), grid, align_corners=True).numpy()


def test_rotate_equals_grid_sample():
    degrees = np.array([0.0, 90, -30, 200, 45.5, 3])
    np.testing.assert_allclose(
        data.rotate(IMAGES, degrees), by_grid_sample(IMAGES, degrees), atol=1e-12
    )
    np.testing.assert_allclose(data.rotate(IMAGES, 17), by_grid_sample(IMAGES, 17.0), atol=1e-12)


def test_rotate_equals_scipy_inside():
    turned = data.rotate(IMAGES, 30)[0, 0]
    other = ndimage.rotate(IMAGES[0, 0], 30, reshape=False, order=1, mode="grid-constant")
    np.testing.assert_allclose(turned, other, atol=1e-12)


def test_quarter_turns_are_exact():
    square = IMAGES[..., :9]
    for k in range(4):
        turned = np.rot90(square, k, axes=(2, 3))
        np.testing.assert_allclose(data.rotate(square, 90 * k), turned, atol=1e-12)
    assert data.rotate(square.astype(np.float32), 10).dtype == np.float32
    empty = data.random_rotation(square[:0], 10, np.random.default_rng(0))
    assert empty.shape == (0, 3, 9, 9)


def test_random_rotation_stays_within_most():
    spot = np.zeros((400, 1, 21, 21))
    spot[:, :, 10, 18] = 1
    turned = data.random_rotation(spot, 20, np.random.default_rng(0))
    y, x = np.mgrid[:21, :21] - 10
    mass = turned.sum(axis=(1, 2, 3))
    angle = np.degrees(
        np.arctan2(-(turned * y).sum((1, 2, 3)) / mass, (turned * x).sum((1, 2, 3)) / mass)
    )
    assert np.abs(angle).max() < 21 and angle.min() < -17 and angle.max() > 17


def test_flip():
    rng = np.random.default_rng(1)
    big = np.random.default_rng(0).random((1000, 1, 2, 3))
    out = data.random_flip(big, rng, p=0.3)
    flipped = (out == big[..., ::-1]).all(axis=(1, 2, 3))
    assert (out[~flipped] == big[~flipped]).all() and 240 < flipped.sum() < 360
    assert (data.random_flip(big, rng, p=1, axis=-2) == big[:, :, ::-1]).all()
    assert (data.random_flip(big, rng, p=0) == big).all()


def test_crop_is_a_window_and_every_place_comes():
    image = np.arange(1, 31, dtype=np.float32).reshape(1, 1, 5, 6)
    out = data.random_crop(
        np.repeat(image, 500, axis=0), (4, 5), np.random.default_rng(0), padding=1
    )
    padded = np.pad(image[0, 0], 1)
    windows = {padded[i : i + 4, j : j + 5].tobytes() for i in range(4) for j in range(4)}
    assert {w[0].tobytes() for w in out} == windows and out.dtype == np.float32
    with pytest.raises(ValueError, match="a window of 8 x 8 does not fit images of 5 x 6"):
        data.random_crop(image, 8, np.random.default_rng(0))


def test_cutout_makes_a_square_hole():
    ones = np.ones((2000, 2, 8, 8), np.float32)
    out = data.cutout(ones, 3, np.random.default_rng(0))
    assert (out[:, 0] == out[:, 1]).all() and set(np.unique(out)) == {0, 1}
    holes = {o.tobytes() for o in out[:, 0]}
    expected = set()
    for top in range(-1, 7):
        for left in range(-1, 7):
            hole = np.ones((8, 8), np.float32)
            hole[max(top, 0) : top + 3, max(left, 0) : left + 3] = 0
            expected.add(hole.tobytes())
    assert holes == expected
    assert (data.cutout(ones[:5], 0, np.random.default_rng(0)) == 1).all()
    with pytest.raises(ValueError, match="size -1"):
        data.cutout(ones, -1, np.random.default_rng(0))


def test_mixup_mixes_images_and_targets_alike():
    labels = np.array([0, 1, 2, 0, 1, 2])
    targets = np.eye(3)[labels]
    x, y = data.mixup(IMAGES, targets, np.random.default_rng(4), alpha=1.0)
    np.testing.assert_allclose(y.sum(axis=1), 1)
    # with an image and its target side by side, both must be the same mixture
    both = np.concatenate([IMAGES.reshape(6, -1), targets], axis=1)
    mixed = np.concatenate([x.reshape(6, -1), y], axis=1)
    weights = np.linalg.lstsq(both.T, mixed.T, rcond=None)[0].T
    np.testing.assert_allclose(weights @ both, mixed, atol=1e-12)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert (weights > -1e-12).all() and ((weights > 1e-9).sum(axis=1) <= 2).all()
    with pytest.raises(ValueError, match="for labels use one_hot"):
        data.mixup(IMAGES, labels, np.random.default_rng(0))
    with pytest.raises(ValueError, match="floating-point"):
        data.mixup(IMAGES, targets.astype(int), np.random.default_rng(0))


def test_brightness_and_shapes():
    out = data.brightness(IMAGES, 0.5, np.random.default_rng(0))
    assert out.min() >= 0 and out.max() <= 1
    dark = data.brightness(IMAGES / 10, 0.5, np.random.default_rng(0)) / (IMAGES / 10)
    factors = dark.reshape(6, -1)
    np.testing.assert_allclose(factors, factors[:, :1].repeat(factors.shape[1], 1))
    assert ((factors >= 0.5) & (factors <= 1.5)).all()
    for function in (
        lambda x: data.rotate(x, 3),
        lambda x: data.cutout(x, 2, np.random.default_rng(0)),
    ):
        with pytest.raises(ValueError, match=r"want images \(N, C, H, W\), got shape \(9, 12\)"):
            function(IMAGES[0, 0])


def test_the_same_seed_gives_the_same_images():
    for change in (
        lambda g: data.random_flip(IMAGES, g),
        lambda g: data.random_rotation(IMAGES, 30, g),
        lambda g: data.random_crop(IMAGES, 5, g),
        lambda g: data.cutout(IMAGES, 4, g),
    ):
        one, two, other = (change(np.random.default_rng(seed)) for seed in (1, 1, 2))
        assert (one == two).all() and (one != other).any()
