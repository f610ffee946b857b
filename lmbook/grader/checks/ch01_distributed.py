"""Exercises of section 1.3.1: a server's step, a layer cut by rows, bytes, and how many ranks pay."""

from typing import Any

import numpy as np

from lmbook.distributed import CommError, RankError, run
from lmbook.grader import Exercise, expect, expect_that


def simulate(function, ranks, *args, mode="buffering") -> Any:  # type: ignore[no-untyped-def]
    """Run a learner's rank function on the simulator; its own errors are shown as they are."""
    try:
        return run(function, ranks, *args, mode=mode)
    except RankError as error:
        expect_that(False, str(error))
    except CommError as error:
        expect_that(False, f"the ranks do not come to an end: {error}")
    raise AssertionError("not reached")


# 1.3.1-a
server = Exercise(
    "1.3.1-a",
    title="One step of a parameter server",
    kind="implement",
    points=2,
    needs=["server_step"],
)


def a_step(ns, rng, workers: int, n: int = 6, mode: str = "buffering") -> Any:  # type: ignore[no-untyped-def]
    """One step of the learner's server; checks the parameters that it returns."""
    start = rng.normal(size=n)
    scale = rng.uniform(0.5, 2.0, size=(workers + 1, n))
    asked: list[int] = []

    def rank(comm):  # type: ignore[no-untyped-def]
        def gradient(w):  # type: ignore[no-untyped-def]
            asked.append(comm.rank)
            return scale[comm.rank] * w + comm.rank

        return ns.server_step(comm, start.copy() if comm.rank == 0 else None, gradient, 0.1)

    told = simulate(rank, workers + 1, mode=mode)
    expect_that(0 not in asked, "rank 0 computed a gradient; the server has no data")
    expect_that(
        sorted(asked) == list(range(1, workers + 1)),
        f"gradients were computed by ranks {sorted(asked)}, not once by each worker",
    )
    mean = np.mean([scale[w] * start + w for w in range(1, workers + 1)], axis=0)
    expect_that(told[0] is not None, "rank 0 returned nothing; it has the new parameters")
    expect(told[0], start - 0.1 * mean, rtol=1e-12, of="the server's new parameters")
    return told


@server.test("two workers", "Which mean is taken, and over how many gradients?")
def two(ns, rng):  # type: ignore[no-untyped-def]
    a_step(ns, rng, 2)


@server.hidden("one worker, and seven", "Does the divisor count the server?")
def others(ns, rng):  # type: ignore[no-untyped-def]
    for workers in (1, 7):
        a_step(ns, rng, workers)


@server.hidden("2 w M bytes", "Each worker gets the parameters once and sends one gradient.")
def traffic(ns, rng):  # type: ignore[no-untyped-def]
    for workers in (2, 5):
        log = a_step(ns, rng, workers, n=40).log
        expect_that(
            log.total_bytes == 2 * workers * 40 * 8,
            f"{log.total_bytes} bytes were sent; {2 * workers * 40 * 8} are needed",
        )
        between = log.bytes[1:, 1:].sum()
        expect_that(between == 0, "workers sent to each other; all goes through the server")


@server.hidden("a send that waits for its receiver", "Who waits for whom? Two sends that meet?")
def rendezvous(ns, rng):  # type: ignore[no-untyped-def]
    a_step(ns, rng, 3, mode="rendezvous")


# 1.3.1-b
layer = Exercise(
    "1.3.1-b", title="A layer cut by rows", kind="debug", points=2, needs=["rows_layer"]
)


def apply(ns, rng, ranks: int, features: int, biased: bool = True) -> Any:  # type: ignore[no-untyped-def]
    """The learner's layer on some ranks; checks its outputs on all of them."""
    x, W = rng.normal(size=(4, features)), rng.normal(size=(features, 3))
    bias = rng.normal(size=3) if biased else np.zeros(3)
    parts = np.array_split(np.arange(features), ranks)

    def rank(comm):  # type: ignore[no-untyped-def]
        mine = parts[comm.rank]
        return ns.rows_layer(comm, x[:, mine], W[mine], bias.copy())

    told = simulate(rank, ranks)
    for r, y in enumerate(told):
        expect(y, x @ W + bias, rtol=1e-9, atol=1e-11, of=f"the output of rank {r}")
    return told


@layer.test("without a bias", "The product is a sum over features, and each rank has some.")
def no_bias(ns, rng):  # type: ignore[no-untyped-def]
    apply(ns, rng, 4, 8, biased=False)


@layer.hidden("with a bias", "How often is the bias in the sum?")
def with_bias(ns, rng):  # type: ignore[no-untyped-def]
    for ranks in (1, 2, 4):
        apply(ns, rng, ranks, 8)


@layer.hidden("parts of different sizes", "Do all ranks have as many features?")
def uneven(ns, rng):  # type: ignore[no-untyped-def]
    apply(ns, rng, 3, 10)


@layer.hidden("one all-reduce", "One all-reduce of the outputs is enough.")
def bytes_of_it(ns, rng):  # type: ignore[no-untyped-def]
    told = apply(ns, rng, 4, 8)
    limit = 2 * 3 * 4 * 3 * 8  # 2 (p - 1) times (4, 3) doubles
    expect_that(
        told.log.total_bytes <= limit,
        f"{told.log.total_bytes} bytes were sent; an all-reduce of the output has {limit}",
    )


# 1.3.1-c
numbers = Exercise(
    "1.3.1-c", title="Bytes and idle ranks", kind="predict", points=3,
    needs=["server_gigabytes", "ring_gigabytes", "idle"],
)  # fmt: skip


def _judge(got: object, want: float, name: str, slips: dict[float, str], digits: float) -> None:
    value = float(got)  # type: ignore[arg-type]
    if abs(value - want) <= digits:
        return
    for slip, remark in slips.items():
        expect_that(abs(value - slip) > digits, f"{name} is not right: {remark}")
    expect_that(False, f"{name} is not right")


@numbers.test("the server", "Count both directions for each of the 32 workers.")
def at_the_server(ns, rng):  # type: ignore[no-untyped-def]
    slips = {64.0: "in or out, not both", 256.0: "16 bits are 2 bytes, not 4"}
    _judge(ns.server_gigabytes, 128.0, "server_gigabytes", slips, 0.01)


@numbers.hidden(
    "a rank of the ring", "Reduce-scatter and all-gather: (p - 1) / p of M each, in and out."
)
def at_the_ring(ns, rng):  # type: ignore[no-untyped-def]
    slips = {
        3.875: "in or out, not both",
        8.0: "a rank keeps one block for itself",
        15.5: "16 bits are 2 bytes, not 4",
        248.0: "that is the sum over all ranks",
    }
    _judge(ns.ring_gigabytes, 7.75, "ring_gigabytes", slips, 0.01)


@numbers.hidden("idle stages", "Each stage does m pieces of work in the time of m + p - 1.")
def stages(ns, rng):  # type: ignore[no-untyped-def]
    slips = {
        7 / 24: "that is idle time over working time; the whole time has both",
        8 / 32: "the last stage waits for p - 1 pieces, not p",
        7 / 8: "that is one batch in one piece",
    }
    _judge(ns.idle, 7 / 31, "idle", slips, 0.002)


# 1.3.1-d
worth = Exercise(
    "1.3.1-d",
    title="How many ranks are worth having?",
    kind="implement",
    points=2,
    needs=["best_ranks"],
)


def step_time(p, seconds, nbytes, alpha, beta, serial):  # type: ignore[no-untyped-def]
    """Seconds of a step on p ranks."""
    work = serial * seconds + (1 - serial) * seconds / p
    return work + 2 * (p - 1) * (alpha + beta * nbytes / p)


def check_best(ns, *how, most: int = 512) -> None:  # type: ignore[no-untyped-def]
    """The learner's number of ranks has the least time, and is the smallest that has."""
    times = [step_time(p, *how) for p in range(1, most + 1)]
    want, got = int(np.argmin(times)) + 1, ns.best_ranks(*how, most)
    names = "seconds, nbytes, alpha, beta, serial"
    expect_that(
        isinstance(got, (int, np.integer)) and 1 <= got <= most,
        f"best_ranks returned {got!r}, which is no number of ranks from 1 to {most}",
    )
    expect_that(
        np.isclose(times[got - 1], times[want - 1], rtol=1e-12, atol=0),
        f"for {names} = {how}: {got} ranks take {times[got - 1]:.6g} s, and there is something quicker",
    )


@worth.test("a gigabit line", "Compute the time for every number of ranks.")
def gigabit(ns, rng):  # type: ignore[no-untyped-def]
    check_best(ns, 0.04, 26536, 50e-6, 1 / 125e6, 0.0)


@worth.hidden(
    "a network without latency", "With alpha = 0 the time falls with every rank, or does it?"
)
def no_latency(ns, rng):  # type: ignore[no-untyped-def]
    check_best(ns, 2.0, 4e8, 0.0, 1 / 125e6, 0.0)
    check_best(ns, 2.0, 4e7, 0.0, 1 / 125e6, 0.1)


@worth.hidden("one rank can be best", "One rank sends nothing.")
def alone(ns, rng):  # type: ignore[no-untyped-def]
    check_best(ns, 0.001, 1e8, 1e-4, 1 / 125e6, 0.0)
    check_best(ns, 1.0, 1e6, 1e-4, 1e-9, 1.0)


@worth.hidden("many cases", "Write the time down as in the text, with the serial share.")
def many(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(20):
        seconds, nbytes = 10 ** rng.uniform(-2, 1), 10 ** rng.uniform(4, 9)
        alpha, beta, serial = (
            10 ** rng.uniform(-6, -3),
            10 ** rng.uniform(-11, -8),
            rng.uniform(0, 0.2),
        )
        check_best(ns, seconds, nbytes, alpha, beta, serial)
