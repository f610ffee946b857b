"""Topologies: which links a message holds, and what sharing them costs."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook.distributed import FatTree, Network, Regions, Ring, Torus, Tree, run

MB = np.zeros(1_000_000, np.uint8)


def send_all(pairs):
    """A rank function in which each (src, dst) sends a megabyte at once."""

    def fn(comm):
        out = [comm.isend(MB, d) for s, d in pairs if s == comm.rank]
        for s, d in pairs:
            if d == comm.rank:
                comm.recv(s)
        for request in out:
            request.wait()

    return fn


def seconds(network, pairs) -> float:
    return run(send_all(pairs), network.size or 8, network=network).log.time


def test_a_crossbar_shares_nothing_but_ports() -> None:
    net = Network(0.0, 1e-6)
    assert seconds(net, [(0, 1), (2, 3), (1, 0)]) == pytest.approx(1.0)
    assert seconds(net, [(0, 1), (0, 2)]) == pytest.approx(2.0)


def test_a_ring_goes_the_shorter_way_and_shares_its_links() -> None:
    net = Ring(8, 1e-3, 1e-6)
    assert [len(net.route(0, d)) for d in range(8)] == [0, 1, 2, 3, 4, 3, 2, 1]
    assert net.route(0, 7) == ((((0,), 0, -1), 1),)
    assert seconds(net, [(0, 2)]) == pytest.approx(1.002)
    assert seconds(net, [(0, 1), (1, 2), (7, 0)]) == pytest.approx(1.001)
    assert seconds(net, [(0, 2), (1, 3)]) == pytest.approx(2.004)  # both over the link from 1 to 2
    assert seconds(net, [(0, 2), (2, 0)]) == pytest.approx(1.002)  # each direction has its own
    result = run(send_all([(0, 2), (1, 3)]), 8, network=net)
    assert result.log.link_bytes[((1,), 0, 1)] == 2 * len(MB)


def test_a_torus_goes_along_one_axis_after_the_other() -> None:
    net = Torus((4, 3, 2), 1.0, 0.0)
    assert net.size == 24 and net.place(23) == (3, 2, 1) and net.place(7) == (1, 0, 1)
    for src in range(24):
        for dst in range(24):
            hops = sum(
                min((a - b) % n, (b - a) % n)
                for a, b, n in zip(net.place(src), net.place(dst), net.shape)
            )
            assert len(net.route(src, dst)) == hops and net.cost(src, dst)[0] == hops


def test_a_ring_all_reduce_fits_a_ring_and_a_doubling_does_not() -> None:
    """Neighbours only: the ring costs the same as on a crossbar; recursive doubling crosses itself."""
    x = np.ones(8000)
    times = {}
    for algorithm in ("ring", "recursive_doubling"):
        for net in (Ring(8, 1e-6, 1e-9), Network(1e-6, 1e-9)):
            result = run(lambda c, a=algorithm: c.all_reduce(x, algorithm=a), 8, network=net)
            times[algorithm, type(net).__name__] = result.log.time
    assert times["ring", "Ring"] == pytest.approx(times["ring", "Network"])
    assert times["recursive_doubling", "Ring"] > 1.9 * times["recursive_doubling", "Network"]


def test_the_root_of_a_tree_is_its_bottleneck_and_a_fat_tree_has_none() -> None:
    across = [(i, 4 + i) for i in range(4)]
    assert seconds(Tree(8, 2, 0.0, 1e-6), across) == pytest.approx(4.0)
    assert seconds(FatTree(8, 2, 0.0, 1e-6), across) == pytest.approx(1.0)
    assert seconds(FatTree(16, 4, 0.0, 1e-6, taper=2), across) == pytest.approx(2.0)
    assert seconds(Tree(8, 2, 0.0, 1e-6), [(0, 1), (2, 3), (4, 5)]) == pytest.approx(1.0)
    assert FatTree(8, 2).route(0, 1) == ()
    assert [link for link, _ in FatTree(8, 2).route(0, 7)] == [
        ("up", 1, 0), ("up", 2, 0), ("down", 2, 1), ("down", 1, 3)]  # fmt: skip


def test_regions_share_a_slow_line_whose_latency_holds_nothing() -> None:
    net = Regions([4, 4], inside=(0.0, 1e-8), between=(0.0, 1e-6, 0.5))
    assert [net.region(r) for r in range(8)] == [0] * 4 + [1] * 4
    assert seconds(net, [(0, 1)]) == pytest.approx(0.01)
    assert seconds(net, [(0, 4)]) == pytest.approx(1.5)
    assert seconds(net, [(0, 4), (1, 5)]) == pytest.approx(2.5)  # one after the other, latency once
    assert seconds(net, [(0, 4), (5, 1)]) == pytest.approx(1.5)
    wide = Regions([4, 4], inside=(0.0, 1e-8), between=(0.0, 1e-6, 0.5), lanes=2)
    assert seconds(wide, [(0, 4), (1, 5)]) == pytest.approx(1.5)


def test_collectives_are_right_on_every_topology() -> None:
    nets = [Ring(6), Torus((3, 2)), Tree(6), FatTree(6, 3), Regions([2, 4])]
    for net in nets:
        got = run(lambda c: c.all_reduce(np.arange(7.0) * c.rank), 6, network=net)
        np.testing.assert_allclose(got, [np.arange(7.0) * 15] * 6)


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="is made for 6 ranks, not for 4"):
        run(lambda c: None, 4, network=Ring(6))
    with pytest.raises(ValueError, match="none may be negative"):
        Network(-1.0)
    with pytest.raises(ValueError, match="needs lengths from 1"):
        Torus((2, 0))
    with pytest.raises(ValueError, match="want size from 1, arity from 2"):
        FatTree(4, 1)
    with pytest.raises(ValueError, match="must be from 1"):
        Regions([])
    with pytest.raises(ValueError, match="mode 'eager'; use 'buffering', 'rendezvous'"):
        run(lambda c: None, 2, mode="eager")
    with pytest.raises(ValueError, match="0 ranks"):
        run(lambda c: None, 0)
    assert repr(Ring(4, 1.0, 2.0)) == "Ring(4 ranks, alpha=1, beta=2)"
