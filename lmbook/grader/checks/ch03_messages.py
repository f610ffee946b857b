"""Exercises of section 3.3.1, ranks, messages and collectives."""

import re
from typing import Any

import numpy as np

from lmbook.distributed import (
    DeadlockError,
    Network,
    RankError,
    Results,
    UnreceivedError,
    blocks,
    cost,
    run,
)
from lmbook.grader import CheckFailed, Exercise, expect, expect_that, ordering

MODES = ("buffering", "rendezvous")
OURS = re.compile(r", (?:in|called from) line \d+ of ch03_messages\.py.*")
"""The line of this file that a rank function was called from: no news to the learner."""


def on_ranks(fn: Any, xs: list[np.ndarray], mode: str = "buffering") -> Results:
    """`fn(comm, xs[rank])` on the simulator; what stops the run is told in the learner's words."""
    try:
        return run(lambda comm: fn(comm, xs[comm.rank].copy()), len(xs), mode=mode)
    except RankError as error:
        raise error.__cause__ or error from None
    except (DeadlockError, UnreceivedError) as error:
        told = OURS.sub("", "\n".join(str(error).splitlines()[:4]))
        raise CheckFailed(f"on {len(xs)} ranks, {mode}: {told}") from None


# 3.3.1-a
halving = Exercise(
    "3.3.1-a", title="Half in every step", kind="implement", points=3, needs=["reduce_scatter"]
)


@halving.test("four ranks by hand", "Which half do you keep, and who has the other half of it?")
def by_hand(ns, rng):  # type: ignore[no-untyped-def]
    xs = [np.arange(8.0) + 10 * r for r in range(4)]
    total = np.sum(xs, axis=0)
    for r, got in enumerate(on_ranks(ns.reduce_scatter, xs)):
        expect(got, total[2 * r : 2 * r + 2], of=f"the block of rank {r}")


@halving.hidden(
    "any size, in both modes",
    "Where do the blocks of an odd size begin? Does a rank send before its partner receives?",
)
def any_size(ns, rng):  # type: ignore[no-untyped-def]
    for p in (1, 2, 4, 8):
        for mode in MODES:
            size = int(rng.integers(0, 40))
            xs = list(rng.normal(size=(p, size)))
            ends, total = blocks(size, p), np.sum(xs, axis=0)
            for r, got in enumerate(on_ranks(ns.reduce_scatter, xs, mode)):
                of = f"the block of rank {r} of {p}, for {size} numbers"
                expect(got, total[ends[r] : ends[r + 1]], of=of)


@halving.hidden("x stays as it was", "Work on a copy.")
def unchanged(ns, rng):  # type: ignore[no-untyped-def]
    def fn(comm, x):  # type: ignore[no-untyped-def]
        before = x.copy()
        ns.reduce_scatter(comm, x)
        return bool(np.array_equal(x, before))

    same = on_ranks(fn, list(rng.normal(size=(4, 12))))
    expect_that(all(same), "reduce_scatter changes its argument")


@halving.hidden("messages and bytes", "How many numbers does a step halve, and how many steps?")
def counted(ns, rng):  # type: ignore[no-untyped-def]
    for p in (2, 4, 8):
        xs = list(rng.normal(size=(p, 16 * p)))
        log = on_ranks(ns.reduce_scatter, xs).log
        assert log is not None
        steps = p.bit_length() - 1
        for what, sent, want in (
            ("messages", log.messages.sum(axis=1), steps),
            ("bytes", log.bytes.sum(axis=1), (p - 1) * 16 * 8),
        ):
            expect_that(
                (sent == want).all(),
                f"on {p} ranks each should send {want} {what}; yours send {sent.tolist()}",
            )


# 3.3.1-b
smoothing = Exercise("3.3.1-b", title="At the edges", kind="debug", points=3, needs=["smooth"])


def pieces(rng: np.random.Generator, p: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """A vector and its pieces, of different lengths, for p ranks."""
    lengths = rng.integers(1, 7, p)
    lengths[0] += 9  # or a mean of means could be right
    whole = rng.normal(size=int(lengths.sum()))
    return whole, np.split(whole, np.cumsum(lengths)[:-1])


def smoothed(whole: np.ndarray) -> np.ndarray:
    padded = np.concatenate([whole[:1], whole, whole[-1:]])
    return (padded[:-2] + padded[1:-1] + padded[2:]) / 3


def values(ns: Any, rng: np.random.Generator, mode: str) -> None:
    for p in (1, 2, 3, 5):
        whole, xs = pieces(rng, p)
        got = [y for y, _ in on_ranks(ns.smooth, xs, mode)]
        expect(np.concatenate(got), smoothed(whole), of=f"the smoothed vector on {p} ranks")


@smoothing.hidden(
    "the values", "Whose number is which tag, and which of its two ends does a neighbour need?"
)
def of_values(ns, rng):  # type: ignore[no-untyped-def]
    values(ns, rng, "buffering")


@smoothing.hidden(
    "no message is buffered", "What does the first rank wait for while it sends, and the second?"
)
def with_rendezvous(ns, rng):  # type: ignore[no-untyped-def]
    values(ns, rng, "rendezvous")


@smoothing.hidden("the mean of the whole", "Which two sums does a mean need?")
def of_mean(ns, rng):  # type: ignore[no-untyped-def]
    for p in (1, 3, 4):
        whole, xs = pieces(rng, p)
        for rank, (_, mean) in enumerate(on_ranks(ns.smooth, xs)):
            expect(mean, whole.mean(), of=f"the mean on rank {rank} of {p}")


# 3.3.1-c
numbers = Exercise(
    "3.3.1-c",
    title="Bytes and microseconds",
    kind="predict",
    points=2,
    needs=["ring_bytes", "tree_time", "doubling_messages"],
)


@numbers.test("the ring", "Two passes; which share of the vector does a rank send in each?")
def of_ring(ns, rng):  # type: ignore[no-untyped-def]
    log = run(lambda comm: comm.all_reduce(np.zeros(1000, np.float32))[0], 8).log
    assert log is not None
    right = 1000 * int(log.bytes[0].sum())  # bytes grow with the vector
    slip = ": this is what all ranks send together" if ns.ring_bytes == 8 * right else ""
    slip = slip or (": there is an all-gather too" if ns.ring_bytes == right / 2 else "")
    expect_that(float(ns.ring_bytes) == right, "ring_bytes is not right" + slip)


@numbers.test("the tree", "How many rounds do 100 ranks need, up and down?")
def of_tree(ns, rng):  # type: ignore[no-untyped-def]
    x = np.zeros(10_000, np.uint8)
    network = Network(10e-6, 1e-9)
    log = run(lambda comm: comm.all_reduce(x, algorithm="tree")[0], 100, network=network).log
    assert log is not None
    slip = ": and down again" if abs(float(ns.tree_time) - 0.5e6 * log.time) < 0.01 else ""
    close = abs(float(ns.tree_time) - 1e6 * log.time) < 0.01
    expect_that(close, "tree_time is not right" + slip)


@numbers.test("recursive doubling", "How many steps, and how many messages in a step?")
def of_doubling(ns, rng):  # type: ignore[no-untyped-def]
    right = cost("all_reduce", "recursive_doubling", 64, 8).messages
    slip = ": both partners send" if ns.doubling_messages == right / 2 else ""
    expect_that(float(ns.doubling_messages) == right, "doubling_messages is not right" + slip)


# 3.3.1-d
ordering(
    "3.3.1-d",
    title="Not with less",
    points=2,
    name="proof",
    steps={"D": "", "A": "D", "F": "A", "B": "D", "G": "FB", "C": "G"},
    wrong={
        "E": "a rank may add several values and send the sum on: one message then carries many of them",
        "H": "the root of a tree sends more than others; only the sum over all ranks is bounded",
    },
    hint="Name a moment; count messages that arrive until then, and messages after it; add up.",
)
