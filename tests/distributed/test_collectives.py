"""Every collective against NumPy: odd sizes, empty arrays, one rank, any number of ranks, several dtypes."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook.distributed import RankError, run
from tests.distributed.programs import ALL_REDUCE, RANKS, data, everything, expected, same

LIMIT = {np.float64: 1e-14, np.float32: 1e-5, np.int64: 0.0, np.complex128: 1e-14}
MODES = ("buffering", "rendezvous")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ranks", RANKS)
def test_every_collective_gives_what_numpy_gives(ranks: int, mode: str) -> None:
    for rank, got in enumerate(run(everything, ranks, (13,), mode=mode)):
        same(got, expected(rank, ranks, (13,)), LIMIT[np.float64])


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.complex128])
@pytest.mark.parametrize("shape", [(1,), (5, 3), (8, 2, 2)])
def test_shapes_and_dtypes(shape: tuple[int, ...], dtype: type) -> None:
    for ranks in (3, 4):
        for rank, got in enumerate(run(everything, ranks, shape, dtype)):
            same(got, expected(rank, ranks, shape, dtype), LIMIT[dtype])


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_empty_arrays_go_round(shape: tuple[int, ...]) -> None:
    for rank, got in enumerate(run(everything, 3, shape)):
        same(got, expected(rank, 3, shape))


def test_strided_and_scalar_arrays() -> None:
    def fn(comm):
        x = data(comm.rank, (6, 4)).T[::2]
        return comm.all_reduce(x), comm.all_reduce(1.5), comm.all_gather(x)[1]

    want = sum(data(r, (6, 4)).T[::2] for r in range(3))
    for total, number, second in run(fn, 3):
        np.testing.assert_allclose(total, want, rtol=1e-13)
        assert number == 4.5 and number.shape == ()
        np.testing.assert_array_equal(second, data(1, (6, 4)).T[::2])


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("algorithm", ALL_REDUCE)
def test_all_ranks_get_the_same_bits(algorithm: str, ranks: int) -> None:
    results = run(lambda c: c.all_reduce(data(c.rank, (1001,)), algorithm=algorithm), ranks)
    for got in results[1:]:
        np.testing.assert_array_equal(got, results[0])


def balanced(parts: list[np.ndarray]) -> np.ndarray:
    """((x0 + x1) + (x2 + x3)) + ..."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return balanced(parts[:half]) + balanced(parts[half:])


@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_the_order_of_sums_is_the_one_that_is_documented(ranks: int) -> None:
    xs = [data(r, (999,)) for r in range(ranks)]
    serial = xs[0]
    for x in xs[1:]:
        serial = serial + x
    assert ranks == 2 or (balanced(xs) != serial).any()  # or the test could not fail
    ring = np.empty(999)
    for b in range(ranks):
        low, high = 999 * b // ranks, 999 * (b + 1) // ranks
        order = [xs[(b + 1 + k) % ranks][low:high] for k in range(ranks)]
        total = order[0]
        for x in order[1:]:
            total = total + x
        ring[low:high] = total
    want = {"naive": serial, "tree": balanced(xs), "recursive_doubling": balanced(xs), "ring": ring}
    for algorithm, bits in want.items():
        got = run(lambda c, a=algorithm: c.all_reduce(data(c.rank, (999,)), algorithm=a), ranks)
        np.testing.assert_array_equal(got[0], bits, err_msg=algorithm)


def test_logical_shards_give_the_same_bits_on_any_number_of_ranks() -> None:
    """Eight shards, each process sums its own in a balanced tree: 1, 2, 4 and 8 ranks agree to the bit."""

    def fn(comm):
        mine = 8 // comm.size
        shards = [
            data(s, (501,), np.float32) for s in range(comm.rank * mine, (comm.rank + 1) * mine)
        ]
        return comm.all_reduce(balanced(shards), algorithm="recursive_doubling")

    one = run(fn, 1)[0]
    for ranks in (2, 4, 8):
        for got in run(fn, ranks):
            np.testing.assert_array_equal(got, one)


def test_mean_divides_by_the_number_of_ranks() -> None:
    def fn(comm):
        x = data(comm.rank, (5,), np.float32)
        return comm.all_reduce(x, "mean"), comm.reduce(x, op="mean"), comm.reduce_scatter(x, "mean")

    want = np.mean([data(r, (5,)) for r in range(3)], axis=0)
    for rank, (every, one, block) in enumerate(run(fn, 3)):
        assert every.dtype == block.dtype == np.float32
        np.testing.assert_allclose(every, want, rtol=1e-5)
        np.testing.assert_allclose(block, want[5 * rank // 3 : 5 * (rank + 1) // 3], rtol=1e-5)
        assert (one is None) == (rank > 0)


def test_results_share_no_memory_with_other_ranks_or_the_input() -> None:
    def fn(comm):
        x = np.full(6, float(comm.rank))
        got = [
            comm.broadcast(x),
            comm.all_reduce(x),
            *comm.all_gather(x),
            *comm.all_to_all([x] * comm.size),
        ]
        got += [y for a in ALL_REDUCE for y in [comm.all_reduce(x, algorithm=a)]]
        before = [y.copy() for y in got]
        comm.barrier()
        for y in got:
            y += 100 + comm.rank
        comm.barrier()
        return all((y == b + 100 + comm.rank).all() for y, b in zip(got, before)), x

    for ranks in (1, 3, 4):
        for rank, (own, x) in enumerate(run(fn, ranks)):
            assert own
            np.testing.assert_array_equal(x, np.full(6, float(rank)))


def test_objects_travel_too() -> None:
    def fn(comm):
        value = {"rank": comm.rank, "list": [1, "二"]}
        return (
            comm.broadcast(value, 1), comm.all_gather(value, "bruck"), comm.gather(value),
            comm.all_to_all([(comm.rank, r) for r in range(comm.size)]),
        )  # fmt: skip

    values = [{"rank": r, "list": [1, "二"]} for r in range(3)]
    for rank, (told, every, one, swapped) in enumerate(run(fn, 3)):
        assert told == values[1] and every == values
        assert one == (values if rank == 0 else None)
        assert swapped == [(r, rank) for r in range(3)]


@pytest.mark.parametrize("mode", MODES)
def test_nobody_passes_a_barrier_before_all_have_come(mode: str) -> None:
    def fn(comm):
        comm.compute(float((comm.rank * 5 + 1) % comm.size))
        came = comm.clock
        comm.barrier()
        return came, comm.clock

    for ranks in (2, 3, 5, 8):
        results = run(fn, ranks, mode=mode)
        assert min(left for _, left in results) >= max(came for came, _ in results) > 0


# --- Groups --------------------------------------------------------------------------------------


def test_split_makes_rows_and_columns_that_do_not_mix() -> None:
    def fn(comm):
        row, column = comm.split(comm.rank // 3), comm.split(comm.rank % 3, key=-comm.rank)
        x = np.array([10.0**comm.rank])
        # every rank is in both groups at once: messages of one must never be taken in the other
        work = row.isend(x, (row.rank + 1) % 3)
        down = column.sendrecv(x * 2, 1 - column.rank, 1 - column.rank)
        left = row.recv((row.rank - 1) % 3)
        work.wait()
        return (
            row.ranks,
            column.ranks,
            row.all_reduce(x)[0],
            column.all_reduce(x)[0],
            left[0],
            down[0],
        )

    for rank, (row, column, across, along, left, down) in enumerate(run(fn, 6)):
        r, c = divmod(rank, 3)
        assert row == tuple(range(3 * r, 3 * r + 3)) and column == (c + 3, c)
        assert across == sum(10.0**q for q in row) and along == sum(10.0**q for q in column)
        assert left == 10.0 ** (3 * r + (c - 1) % 3) and down == 2 * 10.0 ** (c + 3 * (1 - r))


def test_a_group_of_a_group_and_none_for_the_others() -> None:
    def fn(comm):
        part = comm.split(None if comm.rank == 0 else 1)
        if part is None:
            return None
        pair = part.group([2, 0]) if part.rank in (0, 2) else None
        return part.size, pair and (pair.rank, pair.ranks, pair.all_gather(comm.rank))

    assert run(fn, 4) == [None, (3, (1, (3, 1), [3, 1])), (3, None), (3, (0, (3, 1), [3, 1]))]


def test_two_groups_of_the_same_ranks_keep_their_messages_apart() -> None:
    def fn(comm):
        a, b = comm.group([0, 1]), comm.group([0, 1])
        if comm.rank == 0:
            b.send("b", 1)
            a.send("a", 1)
            return None
        return a.recv(0), b.recv(0)

    assert run(fn, 2)[1] == ("a", "b")


# --- Mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (lambda c: c.all_reduce(np.ones(3 + c.rank)), r"all_reduce\(op='sum'.*float64 \(4,\)"),
        (lambda c: c.all_reduce(np.ones(3, "f4" if c.rank else "f8")), "float32"),
        (lambda c: c.all_reduce(np.ones(2), "max" if c.rank else "sum"), "op='max'"),
        (lambda c: c.broadcast(1, root=0) if c.rank else c.all_reduce(1), "broadcast.*all_reduce"),
        (lambda c: c.broadcast(1, root=c.rank), "root=1"),
        (lambda c: [c.barrier() for _ in range(1 + c.rank)], "number 2|deadlock"),
        (lambda c: c.send(1, 2), "send: there is no rank 2 here; the 2 ranks are 0 to 1"),
        (lambda c: c.recv(-1), "recv: there is no rank -1"),
        (lambda c: c.send(1, c.rank), "itself"),
        (lambda c: c.send(1, 1 - c.rank, tag=-3), "tag -3; a tag is a whole number from 0"),
        (lambda c: c.broadcast(1, root=5), "broadcast: there is no rank 5"),
        (lambda c: c.group([0, 0]), r"group: \[0, 0\] are not different"),
        (lambda c: c.group([0]) if c.rank else c.recv(1), "rank 1 is not in"),
        (lambda c: c.all_to_all([1]), "all_to_all: wants a list with one value for each of 2"),
        (lambda c: c.scatter(None), "scatter: wants a list .* got nothing"),
        (lambda c: c.all_reduce(1, algorithm="star"), "algorithm 'star' is unknown; there are 'ring'"),
        (lambda c: c.all_reduce(1, "median"), "op 'median' is unknown"),
        (lambda c: c.all_reduce(1, "mean"), "the mean of int64"),
        (lambda c: c.all_reduce("abc"), "cannot combine"),
        (lambda c: c.reduce_scatter(1.0), "has no axis"),
        (lambda c: c.compute(-1), "time does not run backwards"),
    ],
)  # fmt: skip
def test_mistakes_are_named(fn, message: str) -> None:
    with pytest.raises(Exception, match=f"(?s){message}"):
        run(fn, 2)


def test_an_exception_shows_the_traceback_of_its_rank_and_stops_the_others() -> None:
    stopped = []

    def fn(comm):
        try:
            comm.barrier()
            if comm.rank == 2:
                raise ZeroDivisionError("the rank's own message")
            comm.recv(2)
        finally:
            stopped.append(comm.rank)

    with pytest.raises(RankError, match=r"rank 2 failed(?s:.*)the rank's own message") as error:
        run(fn, 4)
    assert error.value.rank == 2 and isinstance(error.value.__cause__, ZeroDivisionError)
    assert "in fn" in str(error.value) and sorted(stopped) == [0, 1, 2, 3]
