"""The diagram of a pipeline draws every action of a schedule, or of a real run, in its place."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from lmbook import nn, viz
from lmbook.distributed import Network, run
from lmbook.parallel import Pipeline, gpipe, interleaved, one_f_one_b, simulate, zero_bubble


def drawn(ax, colour):
    """(row, left, right) of the boxes of a colour."""
    return sorted(
        (round(p.get_y() + 0.42), round(p.get_x(), 1), round(p.get_x() + p.get_width(), 1))
        for p in ax.patches
        if isinstance(p, Rectangle) and to_hex(p.get_facecolor()) == colour
    )


def test_boxes_numbers_and_idle_time_of_a_schedule() -> None:
    line = simulate(gpipe(2, 3), 1.0, 2.0)
    ax = viz.pipeline(line, title="GPipe", xlabel="units")
    assert drawn(ax, viz.BLUE) == [(r, r + i, r + i + 1) for r in range(2) for i in range(3)]
    assert [b[1:] for b in drawn(ax, viz.GREEN) if b[0] == 1] == [(4, 6), (6, 8), (8, 10)]
    assert sorted(t.get_text() for t in ax.texts) == sorted("012" * 4)
    places = {(round(t.get_position()[0], 1), t.get_position()[1]) for t in ax.texts}
    assert (0.5, 0) in places and (5.0, 1) in places
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert labels == ["forward", "backward", "idle"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["stage 0", "stage 1"]
    assert ax.yaxis_inverted() and ax.get_xlim() == (0, 12) and ax.get_title() == "GPipe"


def test_weights_chunks_and_many_microbatches() -> None:
    ax = viz.pipeline(simulate(zero_bubble(3, 4), 1, 1, 1))
    assert len(drawn(ax, viz.VIOLET)) == 12
    ax = viz.pipeline(simulate(interleaved(2, 4, 2)), legend=False, end=30.0)
    assert len(drawn(ax, viz.BLUE)) == 8  # the first chunk; the second is paler
    assert ax.get_legend() is None and ax.get_xlim() == (0, 30)
    ax = viz.pipeline(simulate(interleaved(4, 8, 2), 1.0, 2.0), end=33)
    assert min(t.get_fontsize() for t in ax.texts) >= 8.5  # half a unit is too narrow for a number
    assert 0 < len(ax.texts) < 2 * 4 * 8 * 2
    ax = viz.pipeline(simulate(gpipe(2, 3)), end=4.5)  # nothing is drawn beyond
    assert len(ax.texts) == 7 and max(t.get_position()[0] for t in ax.texts) < 6
    ax = viz.pipeline(simulate(one_f_one_b(2, 200)))
    assert len(ax.texts) == 0  # no room for numbers


def test_a_real_run_is_drawn_as_its_schedule() -> None:
    def fn(comm):
        layers = [nn.Linear(2, 2) for _ in range(4)]
        pipe = Pipeline(layers, comm, "interleaved", chunks=2, seconds={"F": 1e-3, "B": 2e-3})
        pipe.step([np.ones((1, 2), np.float32)] * 4, lambda y, i: y.sum())

    log = run(fn, 2, network=Network(0.0, 0.0)).log
    real = viz.pipeline(log, unit=1e-3)
    plan = viz.pipeline(simulate(interleaved(2, 4, 2), 1.0, 2.0))
    for colour in (viz.BLUE, viz.GREEN):
        assert drawn(real, colour) == drawn(plan, colour)


def test_a_log_without_a_pipeline() -> None:
    log = run(lambda comm: comm.compute(1.0, "forward"), 2).log
    with pytest.raises(ValueError, match="nothing to draw; give a Timeline"):
        viz.pipeline(log)
