"""Replay gives the results and the log of the simulator, to the last event, without a thread."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from lmbook import backend
from lmbook.distributed import Delay, RankError, Regions, run
from tests.distributed.programs import everything


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
