"""The house style: one explicit call, nothing at import."""

import sys
import warnings

import matplotlib
from cycler import cycler
from matplotlib import font_manager

from lmbook.viz.colours import FAINT, INK, PALETTE, SEQUENTIAL

WIDTH = 7.0
"""Full width of the page's column in inches; at 100 dots per inch, 700 CSS pixels."""

CJK = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "PingFang SC", "Hiragino Sans GB",
    "Microsoft YaHei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "SimHei", "Arial Unicode MS",
    "Noto Sans CJK JP",
)  # fmt: skip


def figsize(width: float = 1.0, height: float = 0.5) -> tuple[float, float]:
    """Size in inches from fractions of the full width, for `plt.subplots(figsize=...)`."""
    return WIDTH * width, WIDTH * height


def fonts() -> list[str]:
    """matplotlib's own font, then the first installed one that has Chinese characters."""
    installed = set(font_manager.get_font_names())
    return ["DejaVu Sans", *[name for name in CJK if name in installed][:1]]


def settings() -> dict:
    """matplotlib settings of the house style."""
    return {
        "figure.figsize": figsize(1, 0.5),
        "figure.dpi": 100,
        "figure.facecolor": "none",
        "figure.constrained_layout.use": True,
        "savefig.facecolor": "none",
        "savefig.edgecolor": "none",
        "savefig.transparent": True,
        "font.family": fonts(),
        "font.size": 14,
        "axes.labelsize": 14,
        "axes.titlesize": 14,
        "axes.titleweight": "normal",
        "xtick.labelsize": 13,
        "ytick.labelsize": 13,
        "legend.fontsize": 13,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.edgecolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 1.0,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.prop_cycle": cycler(color=PALETTE),
        "axes.unicode_minus": True,
        "grid.color": FAINT,
        "grid.linewidth": 0.8,
        "lines.linewidth": 2.2,
        "lines.markersize": 6,
        "legend.frameon": False,
        "patch.edgecolor": "none",
        "image.cmap": SEQUENTIAL.name,
        "image.interpolation": "nearest",
        "svg.hashsalt": "lmbook",
    }


def style() -> None:
    """Draw in the house style from here on: transparent, sharp, readable on white and on black.

    Sets matplotlib's defaults and, in a notebook, asks for PNG pictures at twice the resolution
    without a version stamp. Labels in Chinese need a font that has them; without one they appear
    as boxes, and matplotlib's warning about it is silenced.
    """
    if SEQUENTIAL.name not in matplotlib.colormaps:
        matplotlib.colormaps.register(SEQUENTIAL)
    matplotlib.rcParams.update(settings())
    warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("retina", metadata={"Software": None})
