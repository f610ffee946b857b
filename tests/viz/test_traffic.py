"""Traffic maps show every byte of a log in its place, on one scale of colours."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from lmbook import viz
from lmbook.distributed import run


def ring_and_naive() -> dict:
    return {
        name: run(lambda c, a=name: c.all_reduce(np.ones(8000), algorithm=a), 4).log
        for name in ("ring", "naive")
    }


def shown(ax) -> np.ndarray:
    return np.ma.filled(ax.images[0].get_array(), 0.0)


def test_a_log_is_drawn_byte_by_byte() -> None:
    log = ring_and_naive()["ring"]
    ax = viz.traffic(log)
    np.testing.assert_allclose(shown(ax) * 1e3, log.bytes)  # kB
    assert np.ma.getmaskarray(ax.images[0].get_array()).sum() == 16 - 4  # nothing went there
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("to rank", "from rank")
    assert [a.get_ylabel() for a in ax.figure.axes if a is not ax] == ["kB"]
    plt.close("all")


def test_several_logs_share_a_scale_and_keep_their_places() -> None:
    logs = ring_and_naive() | {"nothing": np.zeros((4, 4))}
    grid = viz.traffic(logs)
    panels = [ax for ax in grid.flat if ax.images]
    assert [ax.get_title() for ax in panels] == ["ring", "naive", "nothing"]
    largest = max(logs[name].bytes.max() for name in ("ring", "naive")) / 1e3
    assert {ax.images[0].get_clim() for ax in panels} == {(0.0, largest)}
    for ax, name in zip(panels, ("ring", "naive")):
        np.testing.assert_allclose(shown(ax) * 1e3, logs[name].bytes)
    assert len(panels[0].figure.axes) == 4  # three maps and a bar: the fourth place is empty
    assert panels[0].figure.get_size_inches()[0] <= viz.WIDTH
    plt.close("all")


def test_units_follow_the_largest_and_can_be_fixed() -> None:
    m = np.array([[0, 3], [2, 0]])
    for factor, unit in ((1, "bytes"), (1000, "kB"), (10**6, "MB"), (10**9, "GB")):
        ax = viz.traffic(m * factor)
        assert ax.figure.axes[-1].get_ylabel() == unit and ax.images[0].get_clim() == (0, 3)
    assert viz.traffic(m, most=6).images[0].get_clim() == (0, 6)
    assert viz.traffic(np.zeros((2, 2))).images[0].get_clim() == (0, 1)
    plt.close("all")


def test_what_is_no_traffic_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a square, got \(2, 3\); give a log"):
        viz.traffic(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="nothing to draw"):
        viz.traffic({})
    with pytest.raises(ValueError, match="leave `ax` out"):
        viz.traffic({"a": np.eye(2)}, ax=plt.subplots()[1])
    plt.close("all")
