"""The timeline draws every event of a run where and when it was."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from lmbook import viz
from lmbook.distributed import Delay, Network, run


def program(comm):
    comm.compute(2.0, "forward")
    work = comm.background(lambda c: c.sendrecv(np.ones(1), 1 - c.rank, 1 - c.rank))
    comm.compute(1.0, "backward")
    comm.compute(1.0, "backward")
    work.wait()
    comm.mark("end")


def boxes(ax, colour: str) -> list[tuple[float, float, float, float]]:
    """(left, right, bottom, top) of the bars of a colour."""
    found = []
    for collection in ax.collections:
        faces = collection.get_facecolor()
        if len(faces) and to_hex(faces[0], keep_alpha=colour == viz.FAINT) == colour:
            for path in collection.get_paths():
                (left, bottom), (right, top) = path.vertices.min(0), path.vertices.max(0)
                found.append((left, right, bottom, top))
    return sorted(found, key=lambda box: (box[2], box[0]))


def test_every_bar_is_where_its_event_was() -> None:
    log = run(program, 2, network=Network(3.0, 0.0)).log
    ax = viz.timeline(log)
    forward, backward, sends = (boxes(ax, c) for c in (viz.BLUE, viz.GREEN, viz.ORANGE))
    assert [(b[0], round(b[1], 1)) for b in forward] == [(0, 2.0)] * 2  # less the gap
    assert sorted(round(b[0], 1) for b in backward) == [2, 2, 3, 3]
    assert [(b[0], round(b[1], 1)) for b in sends] == [(2, 5.0)] * 2
    assert len(boxes(ax, viz.FAINT)) == 4  # the main function waits, and so does the background
    for row, bars in enumerate(zip(forward, sends)):
        assert all(row - 0.5 < bottom < top < row + 0.5 for _, _, bottom, top in bars)
        assert bars[0][3] <= bars[1][2]  # what is computed stands above what is sent
    lines = ax.collections[-1].get_segments()
    assert len(lines) == 2 and {(round(a[0]), round(b[0])) for a, b in lines} == {(2, 5)}
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "forward",
        "backward",
        "wait",
        "send",
    ]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["rank 0", "rank 1"]
    assert ax.yaxis_inverted() and ax.get_xlabel() == "time (s)" and len(ax.lines) == 2


def test_units_rows_and_faults() -> None:
    def fn(comm):
        if comm.rank:
            comm.recv(comm.rank - 1)
        if comm.rank < comm.size - 1:
            comm.send(np.ones(1), comm.rank + 1)

    result = run(fn, 40, network=Network(2e-6, 0.0), faults=[Delay(1e-6, src=3)])
    given = plt.subplots()[1]
    ax = viz.timeline(result.log, ranks=[2, 3, 4], messages=False, legend=False, ax=given)
    assert ax is given and ax.get_xlabel() == "time (µs)" and ax.get_legend() is None
    assert len(boxes(ax, viz.ORANGE)) == 3 and len(ax.lines) == 1
    assert [t.get_text() for t in ax.get_yticklabels()] == ["rank 2", "rank 3", "rank 4"]
    assert len(viz.timeline(result.log).get_yticks()) == 14  # every third name
    with pytest.raises(ValueError, match=r"timeline: ranks \[40\], but the log has 0 to 39"):
        viz.timeline(result.log, ranks=[40])


def test_a_run_without_events_is_an_empty_picture() -> None:
    ax = viz.timeline(run(lambda c: None, 2).log)
    assert ax.get_xlim()[1] == 1.0 and not ax.collections


def test_it_draws_the_log_of_real_processes() -> None:
    ax = viz.timeline(run(barrier, 2, backend="proc").log)
    assert boxes(ax, viz.ORANGE) and "s)" in ax.get_xlabel()


def barrier(comm):
    comm.barrier()
