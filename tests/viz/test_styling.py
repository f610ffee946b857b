"""Transparent pictures, the same bytes twice, nothing at import."""

import io
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from lmbook import viz


def png() -> bytes:
    buffer = io.BytesIO()
    plt.gcf().savefig(buffer, format="png", metadata={"Software": None})
    plt.close("all")
    return buffer.getvalue()


def test_same_figure_gives_the_same_bytes_and_no_stamp():
    def draw():
        viz.curves({"a": np.arange(5.0), "b": np.ones(5)}, xlabel="step")
        return png()

    first = draw()
    assert first == draw()
    assert b"Software" not in first and b"matplotlib" not in first.lower()


def test_background_is_transparent_and_ink_is_there():
    viz.curves({"a": np.arange(5.0)}, xlabel="step")
    pixels = np.array(Image.open(io.BytesIO(png())).convert("RGBA"))
    assert (pixels[..., 3] == 0).mean() > 0.5
    ink = np.array([0x73, 0x7D, 0x8C])
    assert ((pixels[..., :3] == ink).all(-1) & (pixels[..., 3] == 255)).any()


def test_text_is_readable_on_a_phone():
    # 700 CSS pixels shrink to about 350 on a phone: 13 pt is then 9 CSS pixels
    pixels = viz.WIDTH * plt.rcParams["figure.dpi"]
    for key in ("font.size", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"):
        assert plt.rcParams[key] * plt.rcParams["figure.dpi"] / 72 * 350 / pixels >= 9


def test_import_changes_nothing():
    code = (
        "import matplotlib, warnings; before = dict(matplotlib.rcParams), len(warnings.filters);"
        "from lmbook import viz;"
        "assert (dict(matplotlib.rcParams), len(warnings.filters)) == before;"
        "viz.style(); assert matplotlib.rcParams['figure.facecolor'] == 'none'"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_figsize_is_in_fractions_of_the_full_width():
    assert viz.figsize(0.5, 0.25) == (3.5, 1.75)
