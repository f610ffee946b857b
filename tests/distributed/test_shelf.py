"""Messages through shared memory: the sockets' bits and counts, room that is used again, and no name."""

from __future__ import annotations

import os

import numpy as np
import pytest

from lmbook.distributed import run
from lmbook.distributed.proc.shelf import LEAST, MOST, PAGE, SLOTS, TOTAL, Shelf, nameless, room
from tests.distributed.programs import same, tour


@pytest.fixture
def ends():
    fd = nameless(4 * room(2))
    yield Shelf(fd, 2, 0, 1), Shelf(fd, 2, 0, 1)
    os.close(fd)


def message(value: int, n: int = LEAST) -> memoryview:
    return np.full(n, value, np.uint8).data


def test_a_slot_is_free_when_the_last_user_is_gone(ends) -> None:
    sender, receiver = ends
    slot, at = sender.put(message(7))
    got = receiver.get(slot, at, LEAST)
    part = got[5:9].reshape(2, 2)  # a view of a view keeps the message
    del got
    assert sender.put(message(8)) == (1, at + LEAST) and part.tolist() == [[7, 7], [7, 7]]
    part += 1  # it belongs to the receiver, who may change it
    assert part.sum() == 32
    del part
    assert sender.put(message(9)) == (0, at)
    assert receiver.get(0, at, LEAST).max() == 9


def test_a_full_shelf_takes_nothing_until_something_is_gone(ends) -> None:
    sender, receiver = ends
    places = [sender.put(message(i)) for i in range(SLOTS)]
    assert None not in places and sender.put(message(0)) is None
    held = [receiver.get(*place, LEAST) for place in places]
    assert [int(h[-1]) for h in held] == list(range(SLOTS))
    del held[4]
    assert sender.put(message(1, 2 * LEAST))[0] == 4  # the slot of another length: at the end
    assert sender.put(np.zeros(MOST, np.uint8).data) is None
    assert held[4][0] == 5 and held[3][0] == 3  # nothing was written over what is still used


def test_gaps_between_messages_are_found(ends) -> None:
    sender, receiver = ends
    places = [sender.put(message(i)) for i in range(3)]
    held = [receiver.get(*place, LEAST) for place in places]
    del held[1]
    assert sender.put(message(9, LEAST + 1))[1] == PAGE + 3 * LEAST
    assert sender.put(message(9, LEAST))[1] == places[1][1]


def test_the_memory_of_a_run_has_a_limit_and_no_name() -> None:
    for ranks in (2, 3, 8, 64):
        assert PAGE + LEAST <= room(ranks) <= MOST and room(ranks) * ranks * (ranks - 1) <= TOTAL
    fd = nameless(4096)
    try:
        assert os.fstat(fd).st_nlink == 0 and os.fstat(fd).st_size == 4096
    finally:
        os.close(fd)


@pytest.mark.parametrize("shared", [False, True])
def test_both_ways_give_the_simulators_bits_and_bytes(shared: bool) -> None:
    real, sim = run(tour, 3, backend="proc", shared=shared, seed=5), run(tour, 3, seed=5)
    for a, b in zip(real, sim, strict=True):
        same(a, b)
    np.testing.assert_array_equal(real.log.bytes, sim.log.bytes)


def hoard(comm):
    """Keep every message that comes, far more than a shelf holds, and change one in the middle."""
    n, rounds = 3_000_000, 2 * SLOTS
    kept = []
    for i in range(rounds):
        kept.append(
            comm.sendrecv(np.full(n // 8, i + 100.0 * comm.rank), 1 - comm.rank, 1 - comm.rank)
        )
        if i == 3:
            kept[1] -= 1
    other = 1 - comm.rank
    want = [i + 100.0 * other - (i == 1) for i in range(rounds)]
    return all((k == w).all() for k, w in zip(kept, want, strict=True))


def test_a_rank_may_keep_more_than_a_shelf_holds() -> None:
    assert 2 * SLOTS * 3_000_000 > MOST
    assert run(hoard, 2, backend="proc") == [True, True]


def mapped(comm):
    comm.all_reduce(np.ones(LEAST))
    with open("/proc/self/maps") as file:
        return [line.split(maxsplit=5)[-1].strip() for line in file if "lmbook" in line]


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="Linux shows what is mapped")
def test_large_messages_do_go_through_the_memory() -> None:
    shared, plain = (run(mapped, 2, backend="proc", shared=s) for s in (True, False))
    assert all("memfd:lmbook" in name and name.endswith("(deleted)") for name in shared[0])
    assert len(shared[0]) == 2 and not any("memfd" in name for name in plain[0])
