"""Rooflines, chips and footprints: closed forms, other tables of the book, published totals."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lmbook import accelerators as acc
from lmbook.gpu import devices
from lmbook.parallel.planner import data_sheets


def test_attainable():
    machine = acc.Roofline("m", 100.0, 10.0)
    assert machine.ridge == 10
    assert [acc.attainable(i, 100.0, 10.0) for i in (1, 10, 50)] == [10, 100, 100]
    work = acc.Work("w", 400.0, 100.0)
    assert work.intensity == 4 and work.share(machine) == 0.4
    assert work.seconds(machine) == 10.0
    assert work.flops / work.seconds(machine) == acc.attainable(4, 100.0, 10.0)


def test_flops_as_pytorch_counts_them():
    def counted(run):
        with FlopCounterMode(display=False) as counter:
            run()
        return counter.get_total_flops()

    a, b = torch.ones(6, 7), torch.ones(7, 5)
    assert acc.matmul(6, 7, 5).flops == counted(lambda: a @ b)
    assert acc.matvec(6, 7).flops == counted(lambda: a @ torch.ones(7, 1))
    q, k = torch.ones(1, 3, 4, 8), torch.ones(1, 3, 9, 8)
    plain = counted(lambda: torch.softmax(q @ k.mT, -1) @ k)
    assert acc.attention(4, 9, 8, heads=3).flops == plain


def test_bytes():
    assert acc.vector_add(10, 4).bytes == 120
    assert acc.matmul(2, 3, 4, 4).bytes == 4 * (6 + 12 + 8)
    assert acc.attention(4, 9, 8, heads=3).bytes == 2 * 3 * (2 * 4 * 8 + 2 * 9 * 8)
    assert acc.attention(4, 9, 8, heads=4, kv_heads=1).bytes == 2 * (2 * 4 * 8 * 4 + 2 * 9 * 8)
    extra = acc.attention(4, 9, 8, fused=False).bytes - acc.attention(4, 9, 8).bytes
    assert extra == 2 * 4 * (4 * 9)


def test_square_products_gain_with_size():
    assert acc.matmul(300, 300, 300).intensity == pytest.approx(
        100
    )  # n / 3 with two bytes a number
    assert acc.vector_add(1000).intensity == pytest.approx(1 / 6)


def test_decode():
    assert acc.decode(1e9, 1).intensity == 1.0
    assert acc.decode(1e9, 64).intensity == 64.0
    alone = acc.attention(1, 4096, 128, 32)
    whole = acc.decode(0, 1, context=4096, layers=1, width=32 * 128)
    assert whole.flops == alone.flops
    assert whole.bytes == alone.bytes - 2 * 2 * 128 * 32  # query and result are left out


def test_measured():
    found = acc.measure(n=128, megabytes=4, repeats=2)
    machine = found.machine
    assert 1e7 < machine.peak < 1e14 and 1e7 < machine.bandwidth < 1e13
    assert machine.peak == max(found.reached.values())
    assert list(found.reached) == [w.name for w in found.works]


def test_example_machine():
    """The stored example has the FLOP and bytes of `measure()`; none is far off its roof."""
    found = acc.example()
    assert found.works[0].flops == 128 * 2**18 and found.works[0].bytes == 12 * 128 * 2**18
    assert found.works[-1].intensity == acc.matmul(1024, 1024, 1024, 4).intensity
    for work in found.works:
        roof = acc.attainable(work.intensity, found.machine.peak, found.machine.bandwidth)
        assert 0.1 * roof < found.reached[work.name] <= 1.01 * roof, work.name


def test_tables_agree():
    """Three rooms keep the columns that they need of the same data sheets."""
    table = acc.chips()
    for other in {id(v): v for v in data_sheets().values()}.values():
        one = acc.chip(other.name)
        assert (one.bf16, one.watts, one.memory, one.year) == (
            other.bf16, other.watts, other.memory, other.year), one.name  # fmt: skip
    for gpu in {id(v): v for v in devices().values()}.values():
        one = acc.chip(gpu.name)
        assert (one.fp32, one.bandwidth, one.memory) == (gpu.flops, gpu.bandwidth, gpu.memory)
    assert len(table) == 41 and all(
        c.source and c.machine.peak and c.bandwidth for c in table.values()
    )
    years = [c.year for c in table.values()]
    assert years == sorted(years)


def test_chips_by_name():
    assert acc.chip("H100") is acc.chip("H100 SXM5")
    assert acc.chip("TPU v1").precision == "int8"
    with pytest.raises(KeyError, match=r"H99.*H100 SXM5"):
        acc.chip("H99")


@pytest.mark.parametrize("run", acc.PUBLISHED, ids=lambda r: r.name)
def test_published(run):
    """Energy and emissions as printed follow from hours, power, PUE and grid, where all are given."""
    found = acc.footprint(run.hours, run.watts, run.pue or 1, run.intensity or 0)
    if run.energy:
        assert found.energy / 1000 == pytest.approx(run.energy, rel=0.005)
    if run.intensity:
        assert found.carbon == pytest.approx(run.carbon, rel=0.005)
    else:  # what they imply for PUE times grid is a grid's number
        implied = run.carbon * 1e6 / found.energy
        assert 380 < implied < 460
    assert run.watts <= 1.1 * acc.chip(run.chip).watts


@pytest.mark.parametrize("bad", [(-1, 1, 1, 1), (1, 1, 0.9, 1), (1, 1, 1, -5)])
def test_footprint_refuses(bad):
    with pytest.raises(ValueError, match="footprint"):
        acc.footprint(*bad)


def test_every_name_is_there():
    assert sorted(acc.__all__) == sorted(set(acc.__all__))
    assert all(hasattr(acc, name) for name in acc.__all__)
    assert np.isfinite([c.machine.ridge for c in acc.chips().values()]).all()
