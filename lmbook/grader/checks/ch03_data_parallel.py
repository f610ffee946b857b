"""Exercises of section 3.3.2, data parallelism."""

import numpy as np

from lmbook.distributed import RankError, Results, cost, run
from lmbook.grader import (
    CheckFailed,
    Exercise,
    expect,
    expect_that,
    expect_unchanged,
    number,
    ordering,
)

# 3.3.2-a
averaging = Exercise(
    "3.3.2-a", title="The mean of what?", kind="debug", points=2, needs=["average"]
)


def on_ranks(fn, ranks, of):  # type: ignore[no-untyped-def]
    """Run a rank function; what a rank raised becomes the reason why the check fails."""
    try:
        return run(fn, ranks)
    except RankError as error:
        cause = error.__cause__
        if isinstance(cause, (CheckFailed, NotImplementedError)):
            raise cause from None
        raise CheckFailed(f"{of} raised {type(cause).__name__} on a rank: {cause}") from None


def gradients(seed, rank):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng([seed, rank])
    return [rng.normal(size=shape) for shape in ((3, 4), (4,), (2, 3, 2), (1,))]


def averaged(ns, ranks, seed):  # type: ignore[no-untyped-def]
    def fn(comm):  # type: ignore[no-untyped-def]
        mine = gradients(seed, comm.rank)
        return expect_unchanged(lambda *given: ns.average(comm, list(given)), *mine, of="average")

    return on_ranks(fn, ranks, "average(comm, grads)")


@averaging.test(
    "one rank gets back what it gave", "Which part of the vector belongs to which array?"
)
def one_rank(ns, rng):  # type: ignore[no-untyped-def]
    seed = int(rng.integers(2**30))
    (got,) = averaged(ns, 1, seed)
    want = gradients(seed, 0)
    expect_that(len(got) == len(want), f"average returned {len(got)} arrays for {len(want)}")
    for i, (a, b) in enumerate(zip(got, want)):
        expect(a, b, of=f"entry {i} of the answer on a single rank")


@averaging.hidden(
    "several ranks get the mean",
    "Is yours half of it, with two ranks? Then the sum is divided once too often.",
)
def several_ranks(ns, rng):  # type: ignore[no-untyped-def]
    for ranks in (2, 3, 5):
        seed = int(rng.integers(2**30))
        told = averaged(ns, ranks, seed)
        want = [np.mean(each, axis=0) for each in zip(*(gradients(seed, r) for r in range(ranks)))]
        for rank, got in enumerate(told):
            expect_that(
                len(got) == len(want), f"average returned {len(got)} arrays for {len(want)}"
            )
            for i, (a, b) in enumerate(zip(got, want)):
                expect(a, b, of=f"entry {i} on rank {rank} of {ranks}")


@averaging.hidden("one all-reduce, no more", "One vector goes round a ring once.")
def one_ring(ns, rng):  # type: ignore[no-untyped-def]
    told = averaged(ns, 4, int(rng.integers(2**30)))
    n = 8 * sum(g.size for g in gradients(0, 0))
    expect_that(
        told.log.total_bytes == 2 * 3 * n,
        f"four ranks sent {told.log.total_bytes} bytes, a ring takes {2 * 3 * n}",
    )


# 3.3.2-b
feeding = Exercise(
    "3.3.2-b",
    title="The largest, and the rest later",
    kind="implement",
    points=3,
    needs=["exchange"],
)


def largest(g, residual, k):  # type: ignore[no-untyped-def]
    """Places, values, and what is left."""
    whole = g + residual
    places = np.argsort(-np.abs(whole), kind="stable")[:k]
    left = whole.copy()
    left[places] = 0
    return places, whole[places], left


def exchanged(ns, ranks, size, k, seed, steps):  # type: ignore[no-untyped-def]
    def fn(comm):  # type: ignore[no-untyped-def]
        rng, residual, out = np.random.default_rng([seed, comm.rank]), np.zeros(size), []
        for _ in range(steps):
            g = rng.normal(size=size)
            before = residual.copy()
            got = expect_unchanged(
                lambda g, r: ns.exchange(comm, g, r, k), g, residual, of="exchange"
            )
            expect_that(
                isinstance(got, tuple) and len(got) == 2,
                "exchange should return two vectors, the mean and the new residual",
            )
            mean, residual = (np.array(part, float) for part in got)
            out.append((g, before, mean, residual))
        return out

    return on_ranks(fn, ranks, "exchange(comm, g, residual, k)")


def expect_steps(told: Results, k: int) -> None:
    """Every step of every rank as it should be, from the residuals that the answer has kept."""
    for step, ranks in enumerate(zip(*told)):
        parts = [largest(g, before, k) for g, before, _, _ in ranks]
        want = np.zeros_like(ranks[0][0])
        for places, values, _ in parts:
            want[places] += values / len(ranks)
        for rank, ((_, _, mean, left), (_, _, rest)) in enumerate(zip(ranks, parts)):
            expect(left, rest, of=f"the residual of rank {rank} after step {step}")
            expect(mean, want, of=f"the mean on rank {rank} in step {step}")


@feeding.test(
    "one step of two ranks",
    "What is not sent stays, on the rank that did not send it. And a place that both send?",
)
def one_step(ns, rng):  # type: ignore[no-untyped-def]
    expect_steps(exchanged(ns, 2, 6, 2, 1, 1), 2)


@feeding.hidden("many steps", "The old residual goes in before the largest are chosen.")
def many_steps(ns, rng):  # type: ignore[no-untyped-def]
    for ranks, size, k in ((1, 9, 1), (3, 12, 3), (4, 30, 5)):
        expect_steps(exchanged(ns, ranks, size, k, int(rng.integers(2**30)), 6), k)


@feeding.hidden("the bytes", "Places as four-byte integers, values as they are, nothing else.")
def the_bytes(ns, rng):  # type: ignore[no-untyped-def]
    told = exchanged(ns, 3, 40, 4, int(rng.integers(2**30)), 2)
    want = 2 * 3 * 2 * 4 * (4 + 8)
    expect_that(
        told.log.total_bytes == want,
        f"two steps of three ranks with k = 4 sent {told.log.total_bytes} bytes; {want} are enough",
    )


# 3.3.2-c
traffic = Exercise(
    "3.3.2-c",
    title="Four numbers",
    kind="predict",
    points=2,
    needs=["server", "ring", "stale", "seldom"],
)
WORKERS, MEGABYTES = 16, 100


def near(got, want, slips, name):  # type: ignore[no-untyped-def]
    """The number, or what a usual slip gives."""
    got = number(got, name)
    if abs(got - want) > 1e-3 * want:
        why = next((w for value, w in slips.items() if abs(got - value) < 1e-3 * value), "")
        raise CheckFailed(f"{name} is not right" + (f": {why}" if why else ""))


@traffic.test("through the server", "Every worker fetches the weights and brings a gradient.")
def through_the_server(ns, rng):  # type: ignore[no-untyped-def]
    slips = {WORKERS * MEGABYTES: "count both directions", 2 * MEGABYTES: "that is one worker's"}
    near(ns.server, 2 * WORKERS * MEGABYTES, slips, "server")


@traffic.test("round the ring", "A reduce-scatter and an all-gather, in blocks.")
def round_the_ring(ns, rng):  # type: ignore[no-untyped-def]
    want = cost("all_reduce", "ring", WORKERS, 10**6 * MEGABYTES).bytes / 10**6 / WORKERS
    slips = {
        want / 2: "an all-reduce is a reduce-scatter and then an all-gather",
        2 * MEGABYTES: "a rank keeps one block to itself in each half",
        2 * want: "what it sends, without what it receives",
        want * WORKERS: "that is what all ranks send together",
    }
    near(ns.ring, want, slips, "ring")


@traffic.test("how stale", "Who pushes between a worker's fetch and its push?")
def how_stale(ns, rng):  # type: ignore[no-untyped-def]
    slips = {WORKERS: "a worker's own push is not among those before it"}
    near(ns.stale, WORKERS - 1, slips, "stale")


@traffic.test("how much less", "How many times more seldom, and how many bits for 32?")
def how_much_less(ns, rng):  # type: ignore[no-untyped-def]
    slips = {200: "numbers are smaller, too", 4: "and they are sent more seldom"}
    near(ns.seldom, 200 * 32 / 8, slips, "seldom")


# 3.3.2-d
ordering(
    "3.3.2-d",
    title="Only late",
    points=2,
    name="proof",
    steps={"B": "", "D": "", "F": "B", "A": "F", "H": "", "C": "ADH"},
    wrong={
        "E": "the largest entries are no fair sample: $C$ is biased, and that is why feedback is needed",
        "G": "a residual may grow for many steps; the proof needs no bound on it",
    },
    hint="Solve the definition of the residual for what was sent, add up, and see what cancels.",
)
