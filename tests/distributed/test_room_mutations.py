"""The room's checks catch faults planted in the room: each mutation below must fail them."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable

import numpy as np
import pytest

from lmbook.distributed import Network, communicator, cost, run
from lmbook.distributed.collectives import (
    all_reduce,
    broadcast,
    exchange,
    gather,
    operators,
    partition,
    reduce,
)
from lmbook.distributed.sim import transport, world
from tests.distributed.programs import ALL_REDUCE, data, everything, expected, one, same


def results_are_numpys() -> None:
    for ranks in (3, 4, 5):
        for rank, got in enumerate(run(everything, ranks, (13,))):
            same(got, expected(rank, ranks, (13,)), 1e-13)


def means_are_numpys() -> None:
    want = np.mean([data(r) for r in range(3)], axis=0)
    for got in run(lambda c: c.all_reduce(data(c.rank), "mean"), 3):
        np.testing.assert_allclose(got, want)


def ranks_agree_to_the_bit() -> None:
    for algorithm in ALL_REDUCE:
        first, *others = run(
            lambda c, a=algorithm: c.all_reduce(data(c.rank, (99,)), algorithm=a), 4
        )
        for got in others:
            np.testing.assert_array_equal(got, first)


def costs_are_the_closed_forms() -> None:
    known = [
        ("all_reduce", "ring"),
        ("broadcast", "tree"),
        ("all_to_all", "ring"),
        ("gather", "naive"),
    ]
    for collective, algorithm in known:
        x = np.ones(12)
        log = run(
            lambda c, k=(collective, algorithm), x=x: one(c, *k, x), 4, network=Network(1.0, 1.0)
        ).log
        want = cost(collective, algorithm, 4, x.nbytes)
        assert (log.total_bytes, log.total_messages) == (want.bytes, want.messages)
        assert log.time == want.seconds(1.0, 1.0)


def barriers_hold() -> None:
    def fn(comm):
        comm.compute(float(comm.rank == 0))
        comm.barrier()
        return comm.clock

    assert min(run(fn, 5)) >= 1.0


def groups_do_not_mix() -> None:
    def fn(comm):
        a, b = comm.group([0, 1]), comm.group([0, 1])
        if comm.rank == 0:
            b.send("b", 1)
            a.send("a", 1)
            return None
        return a.recv(0), b.recv(0)

    assert run(fn, 2)[1] == ("a", "b")


def tags_find_their_message() -> None:
    def fn(comm):
        if comm.rank == 0:
            comm.send("first", 1, tag=1)
            comm.send("second", 1, tag=2)
            return None
        return comm.recv(0, tag=2), comm.recv(0, tag=1)

    assert run(fn, 2)[1] == ("second", "first")


def values_are_copied() -> None:
    def fn(comm):
        x = np.zeros(2)
        if comm.rank == 0:
            comm.send(x, 1)
            x += 1
            return None
        comm.compute(1)
        return comm.recv(0)

    assert run(fn, 2)[1].sum() == 0


CHECKS = (
    results_are_numpys, means_are_numpys, ranks_agree_to_the_bit, costs_are_the_closed_forms, barriers_hold,
    groups_do_not_mix, tags_find_their_message, values_are_copied,
)  # fmt: skip

MUTATIONS: list[tuple[object, str, str, str]] = [
    # wrong neighbour
    (all_reduce, "_ring_reduce", "(c.rank + 1) % c.size,", "(c.rank + 3) % c.size,"),
    (all_reduce, "_ring_gather", "(c.rank - step) % c.size, (", "(c.rank - step + 1) % c.size, ("),
    (all_reduce, "recursive_doubling", "c.rank ^ bit, c.rank ^ bit", "c.rank ^ 1, c.rank ^ 1"),
    (all_reduce, "halving_doubling", "if c.rank & bit else ((low", "if not c.rank & bit else ((low"),
    (all_reduce, "_folded", "c.send(y, c.rank + core)", "c.send(x, c.rank + core)"),
    (broadcast, "tree", "(c.rank + step) % c.size", "(c.rank + step + 1) % c.size"),
    (broadcast, "naive", "range(c.size)", "range(1, c.size)"),
    (reduce, "tree", "me + step < c.size", "me + step < c.size - 1"),
    (reduce, "naive", "part = x if r == root else c.recv(r)", "part = x"),
    (gather, "ring", "out[mine], (c.rank + 1)", "x, (c.rank + 1)"),
    (gather, "bruck", "(r - c.rank) % c.size", "(r + c.rank) % c.size"),
    (gather, "scatter", "c.send(xs[r], r)", "c.send(xs[r - 1], r)"),
    (exchange, "all_to_all", "xs[after], after, before", "xs[before], after, before"),
    (partition, "blocks", "n * i // size", "n // size * i"),
    # an order that differs between ranks
    (all_reduce, "recursive_doubling", "combine(other, y) if c.rank & bit else combine(y, other)",
     "combine(other / 3, y) + other / 1.5"),
    # missing scale
    (operators, "Operator", 'if self.name == "mean" and', 'if self.name == "" and'),
    # forgotten barrier, a step too few
    (exchange, "barrier", "while step < c.size", "while False"),
    (exchange, "barrier", "while step < c.size", "while 2 * step < c.size"),
    # swapped or forgotten tags and contexts
    (communicator.Communicator, "_channel", "int(tag)", "0"),
    (communicator.Communicator, "_context", ".{self._groups[key]}", ""),
    # the simulator's accounts
    (world.World, "transfer", "start + alpha + m.nbytes * beta", "start + m.nbytes * beta"),
    (world.World, "transfer", "self.in_free[dst] = end", "self.in_free[dst] = start"),
    (transport.SimTransport, "post_send", "value, nbytes = snapshot(value)",
     "nbytes = getattr(value, 'nbytes', 1)"),
    (transport.SimTransport, "_advance", "task.clock = to", "pass"),
]  # fmt: skip


def planted(owner: object, name: str, old: str, new: str) -> Callable:
    """The function with a piece of its source replaced."""
    original = getattr(owner, name)
    source = textwrap.dedent(inspect.getsource(original))
    assert old in source, f"{name} has changed: {old!r} is not in it any more"
    space = dict(inspect.getmodule(original).__dict__)
    code = compile(
        source.replace(old, new, 1), inspect.getfile(original), "exec", dont_inherit=True
    )
    exec(code, space)
    return space[name]


@pytest.mark.parametrize(("owner", "name", "old", "new"), MUTATIONS, ids=lambda v: str(v)[-30:])
def test_a_planted_fault_is_caught(owner, name, old, new, monkeypatch) -> None:
    mutant = planted(owner, name, old, new)
    monkeypatch.setattr(owner, name, mutant)
    for user in (all_reduce, operators):  # who has imported it by name
        if isinstance(getattr(user, name, None), type(mutant)):
            monkeypatch.setattr(user, name, mutant)
    caught = []
    for check in CHECKS:
        try:
            check()
        except Exception:
            caught.append(check.__name__)
    assert caught


def test_without_a_fault_all_checks_pass() -> None:
    for check in CHECKS:
        check()
