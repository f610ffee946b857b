"""Ink, palette and colour maps read on white, on near-black, and to colour-blind eyes."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from lmbook import viz
from lmbook.viz.colours import PAGE_DARK, PAGE_LIGHT, linear_rgb, oklab

# Machado, Oliveira, Fernandes, "A physiologically-based model for simulation of color vision
# deficiency", 2009: full deuteranopia, protanopia, tritanopia, in linear RGB.
VISION = {
    "normal": np.eye(3),
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def test_contrast_of_known_pairs():
    assert viz.contrast("white", "black") == pytest.approx(21)
    assert viz.contrast("#777777", "white") == pytest.approx(4.48, abs=0.01)  # WCAG's example
    assert viz.contrast("red", "red") == 1


@pytest.mark.parametrize("page", [PAGE_LIGHT, PAGE_DARK])
def test_ink_and_palette_read_on_both_pages(page):
    assert viz.contrast(viz.INK, page) >= 4
    for colour in viz.PALETTE:
        assert viz.contrast(colour, page) >= 3, colour


@pytest.mark.parametrize("vision", VISION)
def test_palette_stays_apart_under_colour_blindness(vision):
    def seen(colour):
        light = np.clip(np.asarray(VISION[vision]) @ linear_rgb(colour), 0, 1)
        srgb = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
        return oklab(np.clip(srgb, 0, 1))

    for a, b in combinations(viz.PALETTE, 2):
        assert np.linalg.norm(seen(a) - seen(b)) > 0.09, (a, b)


def test_ink_on_is_readable_over_every_fill():
    for fill in [*viz.PALETTE, *(to_hex(viz.SEQUENTIAL(t)) for t in np.linspace(0, 1, 20))]:
        assert viz.contrast(viz.ink_on(fill), fill) >= 4.5


def test_sequential_map_rises_steadily_in_lightness():
    lightness = np.array([oklab(viz.SEQUENTIAL(t)[:3])[0] for t in np.linspace(0, 1, 65)])
    steps = np.diff(lightness)
    assert steps.min() > 0
    assert steps.max() < 1.6 * steps.mean()


def test_diverging_map_is_light_and_grey_in_the_middle_only():
    middle = oklab(viz.DIVERGING(0.5)[:3])
    assert np.hypot(*middle[1:]) < 0.02
    for end in (0.0, 1.0):
        assert oklab(viz.DIVERGING(end)[:3])[0] < middle[0] - 0.4
