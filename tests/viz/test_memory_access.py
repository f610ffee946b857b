"""Pictures of a warp's requests show what the simulator counts."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from lmbook import gpu, viz
from lmbook.gpu.kernels import LADDER, copy, copy_strided, transpose
from lmbook.gpu.simulator import traffic
from lmbook.gpu.simulator.masks import Mask
from lmbook.viz.memory_access import wavefronts

LANES = np.arange(32)


def cells(ax, colour):
    """(left, row, width) of the rectangles of a colour."""
    return [
        (round(p.get_x() - 0.3), round(p.get_y()), round(p.get_width() + 0.6))
        for p in ax.patches
        if to_hex(p.get_facecolor(), keep_alpha=len(colour) == 9) == colour
    ]


def drawn(ax):
    return [t.get_text() for t in ax.texts]


@pytest.mark.parametrize("seed", range(12))
def test_sectors_and_wavefronts_are_the_simulator_s(seed):
    """Any lanes at any aligned places, against the counters of the simulator."""
    rng = np.random.default_rng(seed)
    for size in (1, 2, 4, 8, 16):
        index = rng.integers(0, (40, 400)[seed % 2], 32)
        working = rng.random(32) < (1.0, 0.5)[seed % 2]
        working[0] = True
        mask = Mask(working[None], (1, 32))
        base = 64 + size * int(rng.integers(0, 4))
        expected = traffic.sectors(mask, index[None] * size + base, None)
        ax = viz.sectors(np.where(working, index, -1), size, base=base, rows=200)
        places = len(np.unique(index[working]))
        word = "sector" if expected == 1 else "sectors"
        said = f"{expected} {word}, {places * size:,} of {32 * expected:,} bytes wanted"
        assert ax.get_title() == said
        wanted = sum(w for *_, w in cells(ax, viz.BLUE))
        idle = sum(w for *_, w in cells(ax, viz.ORANGE))
        assert (wanted, idle) == (places * size, 32 * expected - places * size)
        plt.close("all")
        lanes = np.flatnonzero(working)
        for paired in (index, index[np.arange(32) | 1], index[np.arange(32) & ~2]):
            for store in (False, True):
                expected, _ = traffic.wavefronts(mask, paired[None], size, store)
                assert wavefronts(lanes, paired[lanes] * size, size, store)[1] == expected


def test_bytes_stand_in_their_row_with_their_lane():
    ax = viz.sectors(LANES + 1)
    assert cells(ax, viz.ORANGE) == [(0, 0, 4), (4, 1, 28)]
    assert cells(ax, viz.BLUE)[0] == (4, 0, 4) and cells(ax, viz.BLUE)[-1] == (0, 1, 4)
    assert len(cells(ax, viz.FAINT)) == 3
    assert [t for t in drawn(ax) if t] == [str(i) for i in LANES[::4]]  # narrow: every fourth lane
    assert [t for t in drawn(viz.sectors(LANES, 16)) if t] == [str(i) for i in LANES]
    assert not any(drawn(viz.sectors(LANES, 1)))
    assert [t.get_text() for t in ax.get_yticklabels()] == ["byte 0", "byte 128"]
    assert "×32" in drawn(viz.sectors(np.full(32, 5)))  # all lanes want one number
    assert (
        viz.sectors(np.where(LANES < 3, LANES, -1)).get_title() == "1 sector, 12 of 32 bytes wanted"
    )


def test_far_apart_rows_are_left_out():
    ax = viz.sectors(LANES * 128)
    assert ax.get_title() == "32 sectors, 128 of 1,024 bytes wanted"
    assert [t.get_text() for t in ax.get_yticklabels()][-2:] == ["byte 2,560", "byte 15,872"]
    assert any("25 rows more" in t for t in drawn(ax))
    assert len(cells(ax, viz.BLUE)) == 7


def test_banks_show_a_conflict_in_one_column():
    def where(ax):
        return {(int(p.get_x()), int(p.get_y())) for p in ax.patches if p.get_facecolor()[3] == 1}

    ax = viz.banks(LANES * 32)
    assert ax.get_title() == "32 wavefronts" and where(ax) == {(0, k) for k in range(32)}
    ax = viz.banks(LANES * 33)
    assert ax.get_title() == "1 wavefront" and where(ax) == {(k, k) for k in range(32)}
    assert [t for t in drawn(ax) if t] == [str(i) for i in LANES[::4]]
    assert viz.banks(LANES, 16).get_title() == "4 wavefronts"  # the least for 512 bytes
    assert viz.banks(np.zeros(32, int)).get_title() == "1 wavefront"  # a broadcast
    assert viz.banks(LANES // 2, 2).get_title() == "1 wavefront"  # halves of a word share it


@pytest.mark.parametrize("call", [viz.sectors, viz.banks])
def test_what_does_not_fit_is_refused(call):
    with pytest.raises(ValueError, match="up to 32 lanes"):
        call(np.zeros((2, 32), int))
    with pytest.raises(ValueError, match="up to 32 lanes"):
        call(np.zeros(32))
    with pytest.raises(ValueError, match="1, 2, 4, 8 or 16 bytes, not 12"):
        call(LANES, 12)
    with pytest.raises(ValueError, match="no lane is at work"):
        call(np.full(32, -1))
    with pytest.raises(ValueError, match="no requests"):
        viz.lanes([])


def watched(rung, plan, block=0, warp=0):
    launch = plan.launches[0]
    kernel = rung.kernel(launch.kernel)
    return kernel.simulate(launch.grid, launch.block, launch.args, watch=(block, warp))


def test_a_watched_warp_says_what_it_asks_for():
    x = np.arange(1000, dtype=np.float32)
    report = watched(copy, copy_strided(x, 4))
    load, store = report.requests
    assert (load.name, load.store, load.space, load.size) == ("x", False, "global", 4)
    assert (store.name, store.store) == ("y", True) and "y[i * stride]" in store.text
    np.testing.assert_array_equal(load.index, 4 * LANES)
    np.testing.assert_array_equal(load.address, 16 * LANES)
    assert viz.sectors(load).get_title().startswith("16 sectors")
    last = watched(copy, copy_strided(x, 4), 0, 7).requests[
        0
    ]  # of 250 threads, 26 in the last warp
    assert (last.index[:26] == 4 * (224 + LANES[:26])).all() and (last.index[26:] == -1).all()
    ax = viz.lanes([load, last])
    assert sum(p.get_facecolor()[3] == 1 for p in ax.patches) == 32 + 26
    assert ax.get_yticklabels()[0].get_text() == f"load x, line {load.line}"


def test_requests_of_a_warp_add_up_to_the_counters():
    a = np.zeros((64, 96), np.float32)
    plan = transpose.plan("transpose2_tiled", a)
    launch = plan.launches[0]
    kernel = transpose.kernel(launch.kernel)
    waves = sectors = 0
    for block in range(6):
        for warp in range(32):
            report = kernel.simulate(launch.grid, launch.block, launch.args, watch=(block, warp))
            for request in report.requests:
                lanes = np.flatnonzero(request.index >= 0)
                if request.space == "shared":
                    waves += wavefronts(lanes, request.address[lanes], request.size, request.store)[
                        1
                    ]
                else:
                    sectors += len(np.unique(request.address[lanes] // 32))
    t = report.total
    assert waves == t.shared_load_wavefronts + t.shared_store_wavefronts
    assert sectors == t.load_sectors + t.store_sectors
    assert kernel.simulate(launch.grid, launch.block, launch.args).requests == []


def test_a_view_starts_where_it_starts():
    kernel = gpu.Kernel("__global__ void k(float* y) { y[threadIdx.x] = 1.0f; }", "k")
    whole = np.zeros(40, np.float32)
    (request,) = kernel.simulate(1, 32, (whole[3:35],), watch=(0, 0)).requests
    assert request.base == 12 and viz.sectors(request).get_title().startswith("5 sectors")


def test_occupancy_fills_the_slots():
    left, right = viz.occupancy("T4", 256, 40, 4096)
    found = gpu.occupancy("T4", 256, 40, 4096)
    assert left.get_title() == "32 of 32 warps: 100%" and found.blocks == 4
    assert [t.get_text() for t in right.texts] == [str(n) for n in found.limits.values()]
    orange = [p.get_width() for p in right.patches if to_hex(p.get_facecolor()) == viz.ORANGE]
    assert orange == [found.limits[found.limited_by]]
    left, _ = viz.occupancy("A100", 96, 64, 20000)  # 7 blocks of 3 warps
    assert left.get_title() == "21 of 64 warps: 33%"
    assert sum(p.get_facecolor()[3] == 1 for p in left.patches) == 21
    with pytest.raises(gpu.LaunchError, match="1 to 1024 threads"):
        viz.occupancy("T4", 2048)


def test_a_kernel_s_source_is_shown(capsys):
    viz.show_kernel(transpose, "transpose3_padded")
    shown = capsys.readouterr().out
    assert shown.startswith("// 3. One spare column") and shown in transpose.source + "\n"
    assert shown.count("{") == shown.count("}") == 1 and "transpose4" not in shown
    for rung in LADDER:
        for name in rung.kernels:
            viz.show_kernel(rung, name)
            shown = capsys.readouterr().out.rstrip("\n")
            assert shown in rung.source and shown.count("{") == shown.count("}") > 0
            assert sum("__global__" in line for line in shown.split("\n")) == 1
    viz.show_kernel(transpose, "transpose3_padded", comment=False)
    bare = capsys.readouterr().out
    assert bare.startswith('extern "C" __global__ void transpose3_padded(') and "//" not in bare
    with pytest.raises(ValueError, match="no kernel transpose9"):
        viz.show_kernel(transpose, "transpose9")


def test_a_short_listing_has_the_lines_that_did_something():
    (report,) = transpose.run("transpose3_padded", np.zeros((40, 33), np.float32)).reports
    rows = report.listing(80).split("\n")
    assert len(rows) == 1 + 6 and max(map(len, rows)) == 80
    assert any("__syncthreads();" in row for row in rows) and rows[2].endswith("\u2026")
    wrapped = report.listing(100, wrap=True).split("\n")
    assert max(map(len, wrapped)) <= 100 and not any("\u2026" in r for r in wrapped)
    said, counts = (
        " ".join(r[42:].strip() for r in wrapped[1:]),
        [r[:40].split() for r in wrapped[1:]],
    )
    did = [t.strip() for c, t in zip(report.lines[1:], report.source) if c.operations]
    assert said == " ".join(did)  # every line whole, in order
    assert sum(bool(c) for c in counts) == 6 < len(counts)
