"""A deadlock is explained: who waits for whom, in which line; so are messages that nobody takes."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from lmbook.distributed import (
    Crash,
    DeadlockError,
    Delay,
    Drop,
    RankLost,
    Straggler,
    UnreceivedError,
    run,
)
from lmbook.distributed import Network as Net

BOTH = pytest.mark.parametrize("backend", ["sim", "replay"])


def line_of(fn, text: str) -> int:
    """The number of the line of a function that has this text."""
    lines, first = inspect.getsourcelines(fn)
    return next(first + i for i, line in enumerate(lines) if text in line)


def circle(comm):
    x = comm.recv((comm.rank + 1) % comm.size)
    comm.send(x, (comm.rank - 1) % comm.size)


@BOTH
def test_a_circle_of_receives(backend: str) -> None:
    with pytest.raises(DeadlockError) as error:
        run(circle, 3, backend=backend)
    text, line = str(error.value), line_of(circle, "comm.recv")
    for rank in range(3):
        assert (
            f"rank {rank} waits for a message of rank {(rank + 1) % 3} with tag 0, in line {line}"
            in text
        )
    assert "x = comm.recv((comm.rank + 1) % comm.size)" in text and "test_deadlocks.py" in text
    assert "the circle: rank 0 waits for rank 1 waits for rank 2 waits for rank 0" in text
    assert error.value.waiting == {0: [1], 1: [2], 2: [0]}


def head_on(comm):
    other = 1 - comm.rank
    comm.send(np.ones(4), other)
    return comm.recv(other)


@BOTH
def test_blocking_sends_head_on_work_only_while_they_are_buffered(backend: str) -> None:
    run(head_on, 2, backend=backend)
    with pytest.raises(DeadlockError) as error:
        run(head_on, 2, backend=backend, mode="rendezvous")
    text = str(error.value)
    assert (
        f"rank 0 waits until rank 1 takes its message with tag 0, in line {line_of(head_on, 'send')}"
        in text
    )
    assert (
        "messages that nobody has taken:" in text
        and "from rank 1 to rank 0 with tag 0, 32 bytes" in text
    )


def helper(comm):
    comm.recv(1, tag=4)


def swapped(comm):
    if comm.rank == 0:
        helper(comm)
    elif comm.rank == 1:
        comm.send("hello", 0, tag=5)


@BOTH
def test_swapped_tags_show_the_message_that_lies_there(backend: str) -> None:
    with pytest.raises(DeadlockError) as error:
        run(swapped, 3, backend=backend)
    text = str(error.value)
    assert (
        f"rank 0 waits for a message of rank 1 with tag 4, in line {line_of(helper, 'recv')}"
        in text
    )
    assert f"called from line {line_of(swapped, 'helper')}" in text
    assert (
        f"from rank 1 to rank 0 with tag 5, 20 bytes, sent in line {line_of(swapped, 'send')}"
        in text
    )
    assert "already finished: rank 1, 2" in text


def forgetful(comm):
    comm.all_reduce(np.ones(3))
    if comm.rank != 2:
        comm.barrier()


@BOTH
def test_a_barrier_that_one_rank_forgot(backend: str) -> None:
    with pytest.raises(
        DeadlockError, match=r"waits for a message of rank 2 in a collective"
    ) as error:
        run(forgetful, 4, backend=backend)
    assert "comm.barrier()" in str(error.value) and "already finished: rank 2" in str(error.value)


def one_f_one_b(comm):
    """Two stages of a pipeline, one forward one backward, with blocking sends in the wrong order."""
    other, warm = 1 - comm.rank, 1 - comm.rank
    for _ in range(warm):
        comm.send(np.ones(2), other, tag=0)
    for i in range(3):
        if comm.rank == 0:
            if i < 2:
                comm.send(np.ones(2), other, tag=0)
            comm.recv(other, tag=1)
        else:
            comm.send(np.ones(2), other, tag=1)
            comm.recv(other, tag=0)


@BOTH
def test_a_pipeline_that_only_buffering_lets_through(backend: str) -> None:
    run(one_f_one_b, 2, backend=backend)
    with pytest.raises(DeadlockError, match="rank 0 waits until rank 1 takes its message"):
        run(one_f_one_b, 2, backend=backend, mode="rendezvous")


@BOTH
def test_messages_that_nobody_took_end_the_run(backend: str) -> None:
    def fn(comm):
        if comm.rank == 0:
            comm.send(np.ones(3), 1, tag=7)

    with pytest.raises(
        UnreceivedError, match=r"from rank 0 to rank 1 with tag 7, 24 bytes, sent in line"
    ):
        run(fn, 2, backend=backend)


def test_many_ranks_are_counted_not_listed() -> None:
    with pytest.raises(DeadlockError, match="and 12 more ranks"):
        run(circle, 20)


def test_waiting_for_any_rank_and_for_background_work() -> None:
    def fn(comm):
        if comm.rank == 0:
            comm.recv_any(tag=3)
        else:
            comm.background(lambda c: c.recv(0)).wait()

    with pytest.raises(DeadlockError) as error:
        run(fn, 2)
    text = str(error.value)
    assert "rank 0 waits for a message of any rank with tag 3" in text
    assert "rank 1 waits for its own background work" in text
    assert "rank 1 (background) waits for a message of rank 0" in text


# --- Faults --------------------------------------------------------------------------------------


def chain(comm):
    """A message from rank to rank; the time at which each has it."""
    if comm.rank:
        comm.recv(comm.rank - 1)
    comm.compute(1.0)
    if comm.rank + 1 < comm.size:
        comm.send(np.zeros(0), comm.rank + 1)
    return comm.clock


@BOTH
def test_delays_and_stragglers_shift_the_clocks(backend: str) -> None:
    net = Net(1.0, 0.0)
    assert list(run(chain, 3, backend=backend, network=net)) == [1, 3, 5]
    late = run(chain, 3, backend=backend, network=net, faults=[Delay(0.5, src=1)])
    assert list(late) == [1, 3, 5.5]
    slow = run(chain, 3, backend=backend, network=net, faults=[Straggler(1, 4.0)])
    assert list(slow) == [1, 6, 8]
    assert [(e.rank, e.label) for e in late.log.events if e.kind == "fault"] == [(1, "delay")]


def test_random_delays_come_from_the_seed() -> None:
    faults = [Delay(0.25, probability=0.5)]
    times = [run(chain, 9, seed=s, faults=faults)[-1] for s in range(6)]
    assert times == [run(chain, 9, seed=s, faults=faults)[-1] for s in range(6)]
    assert len(set(times)) > 1
    log = run(chain, 401, faults=faults).log
    assert 150 < sum(e.kind == "fault" for e in log.events) < 250


@BOTH
def test_a_dropped_message_is_told_in_the_deadlock(backend: str) -> None:
    with pytest.raises(
        DeadlockError, match=r"rank 2 waits for a message of rank 1(?s:.*)lost by a fault"
    ):
        run(chain, 3, backend=backend, faults=[Drop(1, 2)])

    def twice(comm):
        if comm.rank == 0:
            for i in range(3):
                comm.send(i, 1)
            return None
        return [comm.recv(0) for _ in range(2)]

    assert run(twice, 2, backend=backend, faults=[Drop(0, 1, nth=1)])[1] == [0, 2]


@BOTH
def test_a_crash_names_the_rank_and_stops_the_others(backend: str) -> None:
    ended = []

    def fn(comm):
        try:
            for _ in range(5):
                comm.compute(1.0)
                comm.barrier()
        finally:
            ended.append((comm.rank, comm.size))

    with pytest.raises(RankLost, match=r"rank 2 died \(crashed by a fault at 3 s\)") as error:
        run(fn, 4, backend=backend, network=Net(0, 0), faults=[Crash(2, at=3.0)])
    assert error.value.rank == 2 and set(ended) == {(r, 4) for r in range(4)}
    assert len(run(fn, 4, backend=backend, network=Net(0, 0), faults=[Crash(2, at=99.0)])) == 4


def test_faults_are_checked() -> None:
    with pytest.raises(ValueError, match="names a rank that is not among 0 to 1"):
        run(chain, 2, faults=[Straggler(2, 2.0)])
    with pytest.raises(TypeError, match="is no fault; use Delay"):
        run(chain, 2, faults=["slow"])
