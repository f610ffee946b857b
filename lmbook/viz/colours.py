"""Colours that read on a white page and on a dark one, and to colour-blind eyes.

Ink has a contrast of at least 4:1 with both pages, every palette colour at least 3:1 (WCAG 2.2,
1.4.3 and 1.4.11). The palette was chosen by maximising the smallest OKLab distance between any two
colours under normal, deutan, protan and tritan vision.
Source: B. Ottosson, "A perceptual color space for image processing", 2020.
"""

import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_hex, to_rgb

PAGE_LIGHT, PAGE_DARK = "#ffffff", "#14181e"
INK = "#737d8c"
FAINT = "#737d8c40"
BLUE, ORANGE, GREEN = "#2478e4", "#d8780c", "#187854"
PINK, VIOLET, RED = "#c000a8", "#b478b4", "#d80024"
PALETTE = (BLUE, ORANGE, GREEN, PINK, VIOLET, RED)

_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def linear_rgb(colour) -> np.ndarray:
    """Light intensities in [0, 1] of an sRGB colour."""
    c = np.asarray(to_rgb(colour))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def luminance(colour) -> float:
    """Relative luminance in [0, 1], as WCAG defines it."""
    return float(linear_rgb(colour) @ [0.2126, 0.7152, 0.0722])


def contrast(a, b) -> float:
    """Contrast ratio (L1 + 0.05) / (L2 + 0.05) of two colours, from 1 to 21."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def ink_on(colour) -> str:
    """Black or white, whichever reads better over a fill of this colour."""
    return max(("white", "black"), key=lambda ink: contrast(ink, colour))


def oklab(colour) -> np.ndarray:
    """Lightness and two opponent axes in which distances are about as large as they look."""
    return np.cbrt(linear_rgb(colour) @ _TO_LMS.T) @ _TO_LAB.T


def _srgb(lab: np.ndarray) -> np.ndarray:
    light = np.clip((lab @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_LMS).T, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def _ramp(name: str, anchors: list[str]) -> Colormap:
    """A colour map through `anchors`, spaced so that lightness changes at a constant rate."""
    lab = np.array([oklab(c) for c in anchors])
    at = np.concatenate([[0], np.cumsum(np.abs(np.diff(lab[:, 0])))])
    steps = np.linspace(0, at[-1], 256)
    colours = _srgb(np.stack([np.interp(steps, at, lab[:, i]) for i in range(3)], axis=1))
    cmap = LinearSegmentedColormap.from_list(name, [to_hex(c) for c in colours], N=256)
    return cmap.with_extremes(bad=FAINT)


SEQUENTIAL = _ramp("lmbook", ["#1a1c48", "#274f96", "#1f8a8c", "#7fbf6a", "#f7f0b0"])
"""From dark blue (low) to pale yellow (high); lightness rises steadily."""
DIVERGING = _ramp("lmbook_diverging", ["#0c3a78", "#2478e4", "#efede8", "#d8780c", "#6b3500"])
"""From blue (negative) through near-white (zero) to orange (positive)."""
