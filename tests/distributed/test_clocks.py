"""Bytes and virtual times of the simulator equal their closed forms; the same seed gives the same log."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lmbook.distributed import Cost, Network, Regions, cost, run
from tests.distributed.programs import data, one

ALGORITHMS = [
    ("broadcast", "naive"), ("broadcast", "tree"), ("reduce", "naive"), ("reduce", "tree"),
    ("gather", "naive"), ("scatter", "naive"), ("reduce_scatter", "ring"), ("all_gather", "ring"),
    ("all_gather", "bruck"), ("all_to_all", "ring"), ("barrier", "dissemination"),
    ("all_reduce", "naive"), ("all_reduce", "tree"), ("all_reduce", "ring"),
    ("all_reduce", "recursive_doubling"), ("all_reduce", "halving_doubling"),
]  # fmt: skip
MODES = ("buffering", "rendezvous")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("collective", "algorithm"), ALGORITHMS)
def test_bytes_messages_and_time_are_the_closed_forms(collective, algorithm, mode) -> None:
    network = Network(alpha=1e-3, beta=1e-6)
    for ranks, n in itertools.product((1, 2, 3, 4, 5, 6, 7, 8), (0, 1, 13, 840)):
        x = data(0, (n,))
        log = run(
            lambda c, x=x: one(c, collective, algorithm, x), ranks, network=network, mode=mode
        ).log
        want = cost(collective, algorithm, ranks, x.nbytes)
        assert (log.total_bytes, log.total_messages) == (want.bytes, want.messages), (ranks, n)
        if n in (0, 840):  # equal blocks: 840 is a multiple of 1 to 8
            seconds = want.seconds(1e-3, 1e-6)
            if (
                algorithm.endswith("ing")
                and algorithm != "ring"
                and ranks & (ranks - 1)
                and mode == "buffering"
            ):
                # ranks that did not wait for one beyond the power of two get ahead, into the others' ports
                assert seconds * (1 - 1e-12) <= log.time <= 1.5 * seconds, (ranks, n)
            else:
                assert log.time == pytest.approx(seconds, rel=1e-12), (ranks, n)


def test_the_ring_spreads_its_bytes_and_the_naive_way_does_not() -> None:
    x = np.ones(80)
    ring = run(lambda c: c.all_reduce(x), 8).log
    naive = run(lambda c: c.all_reduce(x, algorithm="naive"), 8).log
    assert (ring.bytes.sum(1) == 2 * 7 * x.nbytes // 8).all()
    assert np.count_nonzero(ring.bytes) == 8 and (np.diag(np.roll(ring.bytes, -1, 1)) > 0).all()
    assert naive.bytes[0].sum() == 7 * x.nbytes and naive.bytes[1:, 0].sum() == 7 * x.nbytes
    assert naive.total_bytes == ring.total_bytes
    np.testing.assert_array_equal(ring.messages > 0, ring.bytes > 0)


def test_cost_names_what_it_knows() -> None:
    with pytest.raises(
        ValueError, match="no closed form for 'all_reduce' by 'star'; there are broadcast"
    ):
        cost("all_reduce", "star", 4, 8)
    assert cost("all_reduce", "ring", 4, 100) == Cost(24, 600, 6, 150.0)


def test_a_port_carries_one_message_at_a_time() -> None:
    """Three messages to one rank take three times as long; to three ranks from one, too."""
    c = 1e-3 + 800 * 1e-6

    def into(comm):
        if comm.rank:
            comm.send(np.ones(100), 0)
        else:
            for r in (1, 2, 3):
                comm.recv(r)
        return comm.clock

    assert run(into, 4, network=Network(1e-3, 1e-6))[0] == pytest.approx(3 * c)
    both_ways = run(
        lambda k: k.sendrecv(np.ones(100), 1 - k.rank, 1 - k.rank), 2, network=Network(1e-3, 1e-6)
    )
    assert both_ways.log.time == pytest.approx(c)


def test_buffering_lets_the_sender_go_and_rendezvous_does_not() -> None:
    def fn(comm):
        if comm.rank == 0:
            comm.send(np.ones(100), 1)
            return comm.clock
        comm.compute(5.0)
        comm.recv(0)
        return comm.clock

    network, c = Network(1e-3, 1e-6), 1e-3 + 800e-6
    assert list(run(fn, 2, network=network)) == [0.0, 5.0]
    assert list(run(fn, 2, network=network, mode="rendezvous")) == pytest.approx([5 + c, 5 + c])
    assert list(run(fn, 2, network=network, mode=800)) == [0.0, 5.0]
    assert list(run(fn, 2, network=network, mode=799)) == pytest.approx([5 + c, 5 + c])


@pytest.mark.parametrize("mode", MODES)
def test_isend_and_irecv_overlap_with_computation(mode: str) -> None:
    def fn(comm):
        if comm.rank == 0:
            request = comm.isend(np.ones(1000), 1)
            comm.compute(1.0)
            request.wait()
        else:
            request = comm.irecv(0)
            before = request.test()
            comm.compute(1.0)
            after = request.test()
            assert (before, after) == (False, True)
            assert request.wait().shape == (1000,) and request.wait().shape == (1000,)
        return comm.clock

    assert list(run(fn, 2, network=Network(0.1, 1e-5), mode=mode)) == [1.0, 1.0]


def test_a_message_holds_the_value_at_the_time_of_sending() -> None:
    def fn(comm):
        if comm.rank == 0:
            x = np.zeros(3)
            request = comm.isend(x, 1)
            x += 1
            request.wait()
            return None
        comm.compute(1)
        return comm.recv(0)

    for mode in MODES:
        np.testing.assert_array_equal(run(fn, 2, mode=mode)[1], np.zeros(3))


def test_messages_of_one_tag_keep_their_order_and_tags_find_their_message() -> None:
    def fn(comm):
        if comm.rank == 0:
            for i in range(3):
                comm.send(i, 1)
            comm.send("b", 1, tag=2)
            comm.send("a", 1, tag=1)
            return None
        return comm.recv(0, 1), comm.recv(0, 2), [comm.recv(0) for _ in range(3)]

    assert run(fn, 2)[1] == ("a", "b", [0, 1, 2])


@pytest.mark.parametrize("mode", MODES)
def test_recv_any_takes_what_arrives_first_in_virtual_time(mode: str) -> None:
    def fn(comm):
        if comm.rank == 0:
            return [comm.recv_any()[0] for _ in range(2 * (comm.size - 1))]
        for k in range(2):
            comm.compute({1: 5.0, 2: 1.0, 3: 3.0}[comm.rank])
            comm.send(k, 0)
        return None

    for seed in range(5):
        assert run(fn, 4, mode=mode, seed=seed)[0] == [2, 2, 3, 1, 3, 1]


def test_ties_go_by_the_seed_and_by_nothing_else() -> None:
    def fn(comm):
        if comm.rank == 0:
            return [comm.recv_any()[0] for _ in range(comm.size - 1)]
        comm.send(np.ones(4), 0)
        return None

    orders = [run(fn, 6, seed=s)[0] for s in range(8)]
    assert orders == [run(fn, 6, seed=s)[0] for s in range(8)]
    assert len({tuple(o) for o in orders}) > 3


def busy(comm):
    """Everything that goes into a log."""
    rng = np.random.default_rng(comm.rank)
    for step in range(3):
        comm.compute(rng.random() * 1e-5, "forward")
        work = comm.background(lambda c: c.all_reduce(np.ones(64)))
        comm.compute(1e-5, "backward")
        work.wait()
        comm.mark(f"step {step}")
        comm.all_to_all([np.ones(rng.integers(9))] * comm.size)
    return comm.clock


def test_the_same_seed_gives_the_same_log() -> None:
    network = Regions([3, 2], between=(1e-4, 1e-9, 1e-3))
    first, second = (run(busy, 5, network=network, seed=3) for _ in range(2))
    assert first == second and first.log.events == second.log.events
    assert first.log.link_bytes == second.log.link_bytes and first.log.clocks == second.log.clocks
    assert len(first.log.events) > 100
    assert {e.kind for e in first.log.events} == {"compute", "send", "wait", "mark"}


def test_background_work_overlaps_and_keeps_its_order() -> None:
    network, c = Network(1.0, 0.0), 2.0  # a ring of two: two messages one after the other

    def overlapped(comm):
        works = [
            comm.background(lambda c, i=i: (i, c.all_reduce(np.ones(2) * i)[0])) for i in (1, 2)
        ]
        comm.compute(3.0)
        at_the_end = comm.clock
        values = [w.wait() for w in works]
        return at_the_end, values, comm.clock

    def in_turn(comm):
        for i in (1, 2):
            comm.all_reduce(np.ones(2) * i)
        comm.compute(3.0)
        return comm.clock

    for got in run(overlapped, 2, network=network):
        assert got == (
            3.0,
            [(1, 2.0), (2, 4.0)],
            2 * c,
        )  # longer than the computation, shorter than both
    assert list(run(in_turn, 2, network=network)) == [7.0, 7.0]


def test_the_log_adds_up() -> None:
    result = run(busy, 4)
    log = result.log
    sends = [e for e in log.events if e.kind == "send"]
    assert log.total_messages == len(sends) and log.total_bytes == sum(e.nbytes for e in sends)
    assert log.time == max(log.clocks) == max(result)
    for rank in range(4):  # a rank computes or waits, nothing else takes its time
        own = [
            e
            for e in log.events
            if e.rank == rank and e.stream == 0 and e.kind in ("compute", "wait")
        ]
        assert sum(e.end - e.start for e in own) == pytest.approx(log.clocks[rank])
        assert all(a.end <= b.start + 1e-15 for a, b in itertools.pairwise(own))
    computed = [e.end - e.start for e in log.events if e.kind == "compute" and e.rank == 0]
    assert log.seconds("compute", 0) == pytest.approx(sum(computed)) and len(computed) == 6
    assert [e.label for e in log.events if e.kind == "mark" and e.rank == 1] == [
        "step 0",
        "step 1",
        "step 2",
    ]


def test_ranks_draw_numbers_of_their_own_and_arguments_are_theirs() -> None:
    from lmbook import backend

    def fn(comm, box):
        own = backend.default_generator().random()
        comm.barrier()
        box.append(comm.rank)
        backend.manual_seed(5)
        comm.barrier()
        return own, backend.default_generator().random(), box

    box: list[int] = []
    before = backend.default_generator().bit_generator.state
    results = run(fn, 3, box)
    assert backend.default_generator().bit_generator.state == before
    assert (
        len({own for own, _, _ in results}) == 3 and len({seeded for _, seeded, _ in results}) == 1
    )
    assert [b for _, _, b in results] == [[0], [1], [2]] and box == []
    assert run(fn, 3, box)[0][0] == results[0][0] != run(fn, 3, box, seed=1)[0][0]


def test_an_interrupt_inside_a_rank_ends_all_threads() -> None:
    import threading

    def fn(comm):
        if comm.rank == 1:
            raise KeyboardInterrupt
        comm.recv(1)

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        run(fn, 4)
    assert threading.active_count() == before


def test_an_interrupt_of_the_caller_ends_the_ranks() -> None:
    import _thread
    import threading

    ended, before = [], threading.active_count()

    def fn(comm):
        try:
            while True:
                comm.barrier()
        finally:
            ended.append(comm.rank)

    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run(fn, 3)
    timer.join()
    assert sorted(ended) == [0, 1, 2] and threading.active_count() == before


def test_a_thousand_ranks() -> None:
    log = run(lambda c: c.all_reduce(np.ones(1), algorithm="recursive_doubling"), 1024).log
    assert log.total_messages == cost("all_reduce", "recursive_doubling", 1024, 8).messages == 10240
    assert log.time == pytest.approx(10 * (5e-6 + 8 / 25e9))
