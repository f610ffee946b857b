"""Pictures of accelerators say what was computed."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from lmbook import viz
from lmbook.accelerators import Roofline, SystolicArray, Work


def test_a_frame_shows_weights_and_sums_of_working_cells() -> None:
    a, b = np.array([[1, 2], [3, 4]]), np.array([[5, 6], [7, 8]])
    frames = SystolicArray(2, 2).matmul(a, b, trace=True).frames
    frame = frames[
        3
    ]  # the second row of a meets the first row of weights, the first meets the second
    ax = viz.systolic(frame)
    framed = [p for p in ax.patches if p.get_linewidth() > 2]
    assert len(framed) == frame.working.sum() > 0
    assert {to_hex(p.get_edgecolor()) for p in framed} == {viz.BLUE}
    texts = [t.get_text() for t in ax.texts]
    sums = [f"{v:g}" for v in frame.partial[frame.working]]
    assert all(s in texts for s in sums) and texts.count("\u00d7") == len(sums)
    assert len(texts) == 4 * frame.working.sum()
    assert ax.get_title() == "cycle 3"
    plt.close("all")


def test_works_lie_on_the_first_roof() -> None:
    machines = [Roofline("a", 1e12, 1e11), Roofline("b", 1e10, 1e10)]
    works = [Work("slow", 1.0, 1.0), Work("fast", 100.0, 1.0)]
    ax = viz.roofline(machines, works, reached={"slow": 2e10})
    lines = {line.get_label(): line for line in ax.lines}
    assert lines["a"].get_ydata().max() == 1e12 and lines["b"].get_ydata().max() == 1e10
    assert (lines["slow"].get_xdata()[0], lines["slow"].get_ydata()[0]) == (1.0, 1e11)
    assert lines["fast"].get_ydata()[0] == 1e12
    assert 2e10 in [line.get_ydata()[0] for line in ax.lines if len(line.get_ydata())]
    assert ax.get_legend().get_texts()[-1].get_text() == "open: reached"
    assert "open: reached" not in {
        t.get_text() for t in viz.roofline(machines).get_legend().get_texts()
    }
    assert ax.get_xscale() == ax.get_yscale() == "log"
    plt.close("all")


def test_no_machine_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        viz.roofline([])
