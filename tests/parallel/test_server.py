"""Parameter servers: synchronous ones equal one process to the bit, asynchronous ones keep their bound."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lmbook import backend
from lmbook.distributed import Network, RankError, Straggler, run
from lmbook.parallel import ParameterServer
from tests.parallel.programs import adam, gradients, loss, network, part, state, step_with


def served(comm, servers, staleness, steps, seconds=0.0):
    model = network()
    start = state(model)
    ps = ParameterServer(model, comm, adam, servers, staleness)

    def gradient(worker, step):
        comm.compute(seconds)
        value = loss(model, *part(step, worker, ps.workers))
        value.backward()
        return value.item()

    report = ps.run(gradient, steps)
    return start, state(model), report


def serial(pushes):
    """Steps along the mean of the gradients of a list of (step, worker, workers) at the time."""
    with backend.using(np.random.default_rng([0, 0])):
        model = network()
    optimizer = adam(model.parameters())
    for group in pushes:
        each = [gradients(model, *part(*which)) for which in group]
        mean = []
        for gs in zip(*each):
            total = gs[0]
            for g in gs[1:]:
                total = total + g
            mean.append(total / len(group))
        step_with(model, optimizer, mean)
    return state(model)


@pytest.mark.parametrize("mode", ["buffering", "rendezvous"])
@pytest.mark.parametrize(("servers", "workers"), [(1, 1), (1, 3), (2, 2), (3, 4)])
def test_synchronous_servers_have_the_bits_of_one_process(servers, workers, mode) -> None:
    told = run(served, servers + workers, servers, None, 5, mode=mode)
    want = serial([[(s, w, workers) for w in range(workers)] for s in range(5)])
    for _, end, _ in told:
        np.testing.assert_array_equal(end, want)
    assert (told[0][0] != told[1][0]).mean() > 0.5
    assert told[0][2].role == "server" and len(told[-1][2].losses) == 5
    n = want.nbytes
    spread = (servers + workers - 1) * n  # the start from rank 0, and the end from the servers
    assert told.log.total_bytes == 2 * spread + 5 * 2 * workers * n
    busiest = max(told.log.bytes.sum(axis=0) + told.log.bytes.sum(axis=1))
    assert busiest >= 5 * 2 * workers * (n // servers // 8 * 8)  # it all goes through the servers


def test_one_asynchronous_worker_is_serial_and_processes_work_too() -> None:
    want = serial([[(s, 0, 1)] for s in range(4)])
    for backend_ in ("sim", "proc"):
        told = run(served, 3, 2, 0, 4, backend=backend_)
        for _, end, _ in told:
            np.testing.assert_array_equal(end, want)


SLOW = [Straggler(1, 4.0)]


@pytest.mark.parametrize("bound", [0, 1, 3, math.inf])
def test_no_worker_is_further_ahead_than_the_bound(bound) -> None:
    told = run(served, 4, 1, bound, 8, 1.0, network=Network(1e-3, 0.0), faults=SLOW)
    report = told[0][2]
    if bound == math.inf:
        assert report.lead >= 5  # two workers finish before the straggler has done three steps
    else:
        assert report.lead == bound
        # while a worker computes a step, each other one makes at most 2 bound + 1
        assert max(report.staleness) <= 2 * (2 * bound + 1)
    assert sorted(report.order) == sorted([1, 2, 3] * 8)
    again = run(served, 4, 1, bound, 8, 1.0, network=Network(1e-3, 0.0), faults=SLOW)
    np.testing.assert_array_equal(told[0][1], again[0][1])  # seeded asynchrony repeats


def finished(log):
    """When the third worker had done its last step."""
    return max(e.end for e in log.events if e.kind == "compute" and e.rank == 3)


def test_staleness_buys_time() -> None:
    def seconds(staleness):
        return run(served, 4, 1, staleness, 8, 1.0, network=Network(1e-3, 0.0), faults=SLOW).log

    together, bounded = seconds(None), seconds(2)
    fast = [
        max(e.end for e in log.events if e.kind == "compute" and e.rank == 3)
        for log in (together, bounded)
    ]
    assert together.time == pytest.approx(8 * 4.0, rel=0.01)
    assert fast[1] < fast[0] - 7  # the quick worker is done earlier, though the slow one is not
    log = seconds(math.inf)
    assert max(e.end for e in log.events if e.kind == "compute" and e.rank == 3) == pytest.approx(
        8, rel=0.01
    )


def test_errors() -> None:
    with pytest.raises(RankError, match="2 servers of 2 ranks"):
        run(lambda c: ParameterServer(network(), c, adam, 2), 2)
    with pytest.raises(RankError, match="staleness -1 must be"):
        run(lambda c: ParameterServer(network(), c, adam, 1, -1), 2)
