"""The step without numbers: its bytes are the closed forms, and its time that of sums done by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lmbook.distributed import Network, cost, run
from lmbook.parallel import Mesh, Workload, nodes, virtual_step

WORK = Workload(microbatches=2)


def by_axis(log, axes):
    """Bytes between ranks that differ in one axis only, for each axis."""
    shape, found = tuple(axes.values()), Counter()
    for (a, b), n in log.pair_bytes.items():
        differ = [
            x
            for x, i, j in zip(axes, np.unravel_index(a, shape), np.unravel_index(b, shape))
            if i != j
        ]
        assert len(differ) == 1
        found[differ[0]] += n
    return found


def test_bytes_on_each_axis_are_the_closed_forms() -> None:
    axes = {"dp": 2, "pp": 2, "cp": 2, "ep": 2, "tp": 2}
    log = run(virtual_step, 32, axes, WORK).log
    got, size = (
        by_axis(log, axes),
        {k: round(n / WORK.unit) for k, n in WORK.messages(axes).items()},
    )
    passes = 2 * WORK.microbatches  # forwards and backwards
    assert got["pp"] == passes * 16 * size["pp"]
    assert got["cp"] == passes * 32 * size["cp"]
    assert got["ep"] == passes * 32 * round(WORK.messages(axes)["ep"] / 2 / WORK.unit)
    assert got["tp"] == passes * 16 * cost("all_reduce", "recursive_doubling", 2, size["tp"]).bytes
    assert got["dp"] == 16 * cost("all_reduce", "halving_doubling", 2, size["dp"]).bytes


def test_sizes_by_hand() -> None:
    """A sequence of 8,192 tokens at width 8,192 in 16 bits is 128 MiB; 40 layers sum 80 of them."""
    size = {k: n / 2**20 for k, n in WORK.messages({"pp": 2, "cp": 4, "tp": 8}).items()}
    assert (size["pp"], size["tp"], size["cp"], size["ep"]) == (32, 2560, 320, 5120)
    assert size["dp"] == pytest.approx(70e9 * 2 / 16 / 2**20)
    assert WORK.seconds({"pp": 2, "cp": 4, "tp": 8}) == pytest.approx(2 * 70e9 * 8192 / 64 / 4e14)


def test_time_is_compute_and_bubble_where_messages_are_free() -> None:
    for stages in (1, 2, 4):
        axes = {"pp": stages, "tp": 2}
        log = run(virtual_step, 2 * stages, axes, WORK, network=Network(0.0, 0.0)).log
        slots = WORK.microbatches + stages - 1
        assert log.time == pytest.approx(slots * 3 * WORK.seconds(axes))


def test_the_axis_that_talks_most_belongs_inside_the_node() -> None:
    def seconds(*order):
        axes = {a: {"dp": 4, "pp": 2, "tp": 8}[a] for a in order}
        return run(virtual_step, 64, axes, Workload(), network=nodes(64)).log.time

    best = seconds("dp", "pp", "tp")
    assert best < seconds("dp", "tp", "pp") < seconds("tp", "pp", "dp")
    with pytest.raises(ValueError, match="nodes: 12 ranks do not fill nodes of 8"):
        nodes(12)


def test_groups_share_one_grid() -> None:
    grids = run(lambda comm: Mesh(comm, a=3, b=2).grid, 6)
    assert all(g is grids[0] for g in grids) and not grids[0].flags.writeable


@pytest.mark.slow
def test_4096_virtual_accelerators() -> None:
    axes = {"dp": 32, "pp": 4, "cp": 2, "ep": 2, "tp": 8}
    log = run(virtual_step, 4096, axes, Workload(microbatches=1), network=nodes(4096)).log
    assert set(by_axis(log, axes)) == set(axes) and log.total_messages == 88064
