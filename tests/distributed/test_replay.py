"""Replay gives the results and the log of the simulator, to the last event, without a thread."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

from lmbook import backend
from lmbook.distributed import DeadlockError, Delay, RankError, Regions, run
from tests.distributed.programs import everything, expected, same


def program(comm):
    rng = backend.default_generator()
    comm.compute(float(rng.random()), "start")
    got = everything(comm, (5,), np.float64)
    if comm.rank == 0:
        order = [comm.recv_any(tag=1)[0] for _ in range(comm.size - 1)]
    else:
        comm.compute(float(rng.random()))
        comm.send(comm.rank, 0, tag=1)
        order = None
    request = comm.irecv((comm.rank - 1) % comm.size, tag=2)
    comm.send(np.ones(3), (comm.rank + 1) % comm.size, tag=2) if comm.rank % 2 else None
    ready = request.test()
    None if comm.rank % 2 else comm.send(np.ones(3), (comm.rank + 1) % comm.size, tag=2)
    request.wait()
    comm.mark("end")
    return got, order, ready, comm.clock


@pytest.mark.parametrize("mode", ["buffering", "rendezvous", 24])
@pytest.mark.parametrize("seed", [0, 1])
def test_replay_equals_the_simulator_event_by_event(mode, seed: int) -> None:
    options = {"mode": mode, "seed": seed, "network": Regions([2, 2]), "faults": [Delay(1e-4, 0)]}
    sim = run(program, 4, backend="sim", **options)
    replay = run(program, 4, backend="replay", **options)
    assert sim.log.events == replay.log.events and len(sim.log.events) > 200
    assert sim.log.clocks == replay.log.clocks and sim.log.link_bytes == replay.log.link_bytes
    for a, b in zip(sim, replay):
        assert a[1:] == b[1:]
        for key in a[0]:
            np.testing.assert_equal(b[0][key], a[0][key])


@pytest.mark.parametrize("mode", ["buffering", "rendezvous", 24])
def test_threads_and_greenlets_give_the_same_log(mode, monkeypatch) -> None:
    def both(comm):
        work = comm.background(lambda c: c.all_reduce(np.ones(9)))
        comm.compute(1e-5)
        return work.wait(), program(comm)

    options = {"mode": mode, "seed": 3, "network": Regions([2, 2]), "faults": [Delay(1e-4, 0)]}
    before = threading.active_count()
    green = run(both, 4, backend="sim", **options)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "greenlet", None)
        threads = run(both, 4, backend="sim", **options)
        seen = run(lambda comm: threading.get_ident(), 3, backend="sim")
    assert len(set(seen)) == 3 and len(set(run(lambda c: threading.get_ident(), 3))) == 1
    assert green.log.events == threads.log.events and len(green.log.events) > 200
    assert green.log.clocks == threads.log.clocks and threading.active_count() == before
    for a, b in zip(green, threads, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_equal(a[1][0], b[1][0])


@pytest.mark.parametrize("threads", [False, True])
def test_an_error_and_a_deadlock_end_both_kinds_of_ranks(threads: bool, monkeypatch) -> None:
    if threads:
        monkeypatch.setitem(sys.modules, "greenlet", None)
    ended: list[int] = []
    before = threading.active_count()

    def fn(comm, raises: bool):
        try:
            comm.barrier()
            if comm.rank == 2 and raises:
                raise KeyError("lost key")
            comm.recv((comm.rank + 1) % 3)
        finally:
            ended.append(comm.rank)

    with pytest.raises(RankError, match=r"rank 2 failed(?s:.*)lost key"):
        run(fn, 3, True, backend="sim")
    with pytest.raises(DeadlockError, match=r"rank 0 waits for rank 1") as stuck:
        run(fn, 3, False, backend="sim")
    assert str(stuck.value).count("comm.recv((comm.rank + 1) % 3)") == 3
    assert sorted(ended) == [0, 0, 1, 1, 2, 2] and threading.active_count() == before


def test_the_graph_switch_belongs_to_a_rank() -> None:
    from lmbook.autograd import is_grad_enabled, no_grad

    def fn(comm):
        if comm.rank:
            comm.barrier()
            return is_grad_enabled()
        with no_grad():
            comm.barrier()
            return is_grad_enabled()

    assert run(fn, 3, backend="sim") == [False, True, True] and is_grad_enabled()


def test_replay_starts_no_thread_and_runs_a_rank_again() -> None:
    starts, threads = [], set()

    def fn(comm):
        starts.append(comm.rank)
        threads.add(threading.get_ident())
        x = comm.sendrecv(np.zeros(2), 1 - comm.rank, 1 - comm.rank)
        x += 1  # what was received may be changed: the next run gets it anew
        comm.barrier()
        return float(x.sum())

    assert run(fn, 2, backend="replay") == [2.0, 2.0]
    assert threads == {threading.get_ident()} and len(starts) > 2


def test_an_exception_names_its_rank_and_background_work_is_done_at_once() -> None:
    def fn(comm):
        total = comm.background(lambda c: c.all_reduce(np.ones(2))).wait()
        if comm.rank == 1:
            raise KeyError("lost key")
        return total

    with pytest.raises(RankError, match=r"rank 1 failed(?s:.*)lost key"):
        run(fn, 2, backend="replay")


# --- Where there are neither threads nor processes -----------------------------------------------


@pytest.fixture
def simulated():
    """What the simulator says, before it is made impossible."""
    return run(everything, 4, (13,), backend="sim", seed=5)


@pytest.fixture
def bare(monkeypatch, simulated):
    """A Python like that of a browser: no thread starts, no process, no socket, no greenlet."""
    import _thread
    import os
    import socket
    import subprocess

    def forbidden(*args, **kwargs):
        raise RuntimeError("can't start new thread, nor anything else")

    for owner, name in [
        (threading.Thread, "start"), (_thread, "start_new_thread"), (subprocess, "Popen"), (os, "fork"),
        (socket, "socketpair"), (socket, "socket"),
    ]:  # fmt: skip
        monkeypatch.setattr(owner, name, forbidden)
    monkeypatch.setitem(sys.modules, "greenlet", None)
    return monkeypatch


def traffic(result):
    return result.log.events, result.log.clocks, result.log.pair_bytes, result.log.pair_messages


@pytest.mark.parametrize("asked", ["platform", "variable"])
def test_collectives_run_without_threads_and_processes(asked: str, bare, simulated) -> None:
    want = simulated
    with pytest.raises(RuntimeError, match="can't start new thread"):
        run(everything, 4, (13,), backend="sim")
    if asked == "platform":
        bare.setattr(sys, "platform", "emscripten")
    else:
        bare.setenv("LMBOOK_RANKS", "replay")
    for backend_name in (None, "sim"):
        got = run(everything, 4, (13,), backend=backend_name, seed=5)
        assert got.backend == "replay" and traffic(got) == traffic(want)
        for rank, result in enumerate(got):
            same(result, want[rank])
            same(result, expected(rank, 4, (13,)), 1e-12)
    with pytest.warns(UserWarning, match="'replay' stands in for 'proc', which needs processes"):
        got = run(everything, 4, (13,), backend="proc", seed=5, timeout=3.0, shared=False)
    assert got.backend == "replay" and traffic(got) == traffic(want)


def test_a_wrong_wish_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("LMBOOK_RANKS", "cloud")
    with pytest.raises(ValueError, match="LMBOOK_RANKS: 'cloud'; it may be 'replay'"):
        run(everything, 2, (3,))
