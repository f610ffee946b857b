"""Memory stacks: every piece has its size, its place and one colour for its name."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex

from lmbook import viz


def test_pieces_lie_end_to_end_and_sums_stand_at_the_end() -> None:
    ax = viz.stacks(
        {"data parallel": {"weights": 2, "state": 12}, "ZeRO-1": {"weights": 2, "rest": 1, "state": 3}},
        limit=8, limit_name="8 GB", fmt=".0f", xlabel="GB",
    )  # fmt: skip
    found = [
        (group.get_label(), round(bar.get_y() + bar.get_height() / 2), bar.get_x(), bar.get_width())
        for group in ax.containers
        for bar in group
    ]
    assert found == [
        ("weights", 0, 0, 2), ("weights", 1, 0, 2), ("state", 0, 2, 12), ("state", 1, 2, 3),
        ("rest", 0, 14, 0), ("rest", 1, 5, 1),
    ]  # fmt: skip
    colours = {g.get_label(): {to_hex(bar.get_facecolor()) for bar in g} for g in ax.containers}
    assert all(len(c) == 1 for c in colours.values())
    assert len(set.union(*colours.values())) == 3
    texts = {t.get_text(): t for t in ax.texts}
    assert set(texts) == {"14", "6", "8 GB"}
    assert texts["14"].get_fontweight() == "bold" and texts["6"].get_fontweight() == "normal"
    assert [t.get_text() for t in ax.get_yticklabels()] == ["data parallel", "ZeRO-1"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1] and ax.get_xlim()[1] > 14
    assert ax.get_xlabel() == "GB"
    plt.close("all")


def test_sizes_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="no rows"):
        viz.stacks({})
    for wrong in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="row 'a' has parts"):
            viz.stacks({"a": {"weights": wrong}})
