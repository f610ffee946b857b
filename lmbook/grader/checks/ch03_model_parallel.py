"""Exercises of section 3.3.4, tensor and pipeline parallelism."""

import numpy as np

from lmbook.distributed import RankError, cost, run
from lmbook.grader import Exercise, expect, expect_that, ordering
from lmbook.parallel.schedules import Action, simulate

SIZES = ((1, 3, 4), (2, 4, 6), (3, 7, 5), (4, 8, 3))
"""Ranks, width that is divided, width that is not."""


def blocks(n, ranks):  # type: ignore[no-untyped-def]
    """Rows of each rank, as even as can be."""
    return np.array_split(np.arange(n), ranks)


def on_ranks(fn, ranks):  # type: ignore[no-untyped-def]
    """Run a rank function; an answer that is still missing is said to be so."""
    try:
        return run(fn, ranks, backend="replay")
    except RankError as error:
        if "NotImplementedError" in error.text:
            raise NotImplementedError from None
        raise


def ring(ranks, *arrays):  # type: ignore[no-untyped-def]
    """Bytes of an all-reduce of each array."""
    return sum(cost("all_reduce", "ring", ranks, a.nbytes).bytes for a in arrays)


# 3.3.4-a
row = Exercise(
    "3.3.4-a",
    title="Rows that add up",
    kind="implement",
    points=3,
    needs=["row_forward", "row_backward"],
)


def rows(rng, ranks, inner, outer):  # type: ignore[no-untyped-def]
    """A layer, its input, its output's gradient, and the parts of each rank."""
    x, w = rng.normal(size=(5, inner)), rng.normal(size=(outer, inner))
    return x, w, rng.normal(size=outer), rng.normal(size=(5, outer)), blocks(inner, ranks)


@row.test(
    "forwards",
    "Is the bias added before the sum, on every rank? Which collective leaves a sum on all ranks?",
)
def row_forwards(ns, rng):  # type: ignore[no-untyped-def]
    for ranks, inner, outer in SIZES:
        x, w, b, _, parts = rows(rng, ranks, inner, outer)
        told = on_ranks(
            lambda c, x=x, w=w, b=b, parts=parts: ns.row_forward(
                c, x[:, parts[c.rank]].copy(), w[:, parts[c.rank]].copy(), b.copy()
            ),
            ranks,
        )  # fmt: skip
        for r, y in enumerate(told):
            expect(y, x @ w.T + b, of=f"y on rank {r} of {ranks}")


@row.hidden("backwards", "What does each rank know already? Is any message needed at all?")
def row_backwards(ns, rng):  # type: ignore[no-untyped-def]
    for ranks, inner, outer in SIZES:
        x, w, _, g, parts = rows(rng, ranks, inner, outer)
        told = on_ranks(
            lambda c, x=x, w=w, g=g, parts=parts: ns.row_backward(
                c, x[:, parts[c.rank]].copy(), w[:, parts[c.rank]].copy(), g.copy()
            ),
            ranks,
        )  # fmt: skip
        for r, (dx, dw, db) in enumerate(told):
            expect(dx, (g @ w)[:, parts[r]], of=f"dx on rank {r} of {ranks}")
            expect(dw, (g.T @ x)[:, parts[r]], of=f"dweight on rank {r} of {ranks}")
            expect(db, g.sum(axis=0), of=f"dbias on rank {r} of {ranks}")


@row.hidden("bytes", "One all-reduce of the output forwards; nothing backwards.")
def row_bytes(ns, rng):  # type: ignore[no-untyped-def]
    ranks, inner, outer = 4, 8, 6
    x, w, b, g, parts = rows(rng, ranks, inner, outer)
    forward = on_ranks(
        lambda c: ns.row_forward(c, x[:, parts[c.rank]], w[:, parts[c.rank]], b),
        ranks,
    )
    one = ring(ranks, g)
    expect_that(
        forward.log.total_bytes == one,
        f"row_forward sends {forward.log.total_bytes} bytes; one all-reduce of the output is {one}",
    )
    backward = on_ranks(
        lambda c: ns.row_backward(c, x[:, parts[c.rank]], w[:, parts[c.rank]], g),
        ranks,
    )
    expect_that(
        backward.log.total_bytes == 0,
        f"row_backward sends {backward.log.total_bytes} bytes; no message is needed",
    )


# 3.3.4-b
agree = Exercise(
    "3.3.4-b", title="Agreed forwards, parted backwards", kind="debug", points=2, needs=["mlp_step"]
)


def told_mlp(ns, rng, ranks, inner, outer):  # type: ignore[no-untyped-def]
    """What `mlp_step` says on every rank, and what is right."""
    x, w1, w2 = (rng.normal(size=s) for s in ((5, outer), (inner, outer), (outer, inner)))
    g, parts = rng.normal(size=(5, outer)), blocks(inner, ranks)
    got = on_ranks(
        lambda c: ns.mlp_step(
            c, x.copy(), w1[parts[c.rank]].copy(), w2[:, parts[c.rank]].copy(), g.copy()
        ),
        ranks,
    )  # fmt: skip
    h = np.maximum(x @ w1.T, 0)
    dh = (g @ w2) * (h > 0)
    return got, (h @ w2.T, dh @ w1, dh.T @ x, g.T @ h), parts


@agree.test("forwards", "The forward pass was right as you got it.")
def mlp_forward(ns, rng):  # type: ignore[no-untyped-def]
    got, want, _ = told_mlp(ns, rng, 3, 7, 4)
    for r, told in enumerate(got):
        expect(told[0], want[0], of=f"z on rank {r}")


@agree.hidden("the input's gradient", "All ranks used the same x. What is then its gradient?")
def mlp_input(ns, rng):  # type: ignore[no-untyped-def]
    for ranks, inner, outer in SIZES:
        got, want, _ = told_mlp(ns, rng, ranks, inner, outer)
        for r, told in enumerate(got):
            expect(told[1], want[1], of=f"dx on rank {r} of {ranks}")


@agree.hidden(
    "the weights' gradients", "Every rank is given the whole gradient of z. Must it be added up?"
)
def mlp_weights(ns, rng):  # type: ignore[no-untyped-def]
    for ranks, inner, outer in SIZES:
        got, want, parts = told_mlp(ns, rng, ranks, inner, outer)
        for r, told in enumerate(got):
            expect(told[2], want[2][parts[r]], of=f"dw1 on rank {r} of {ranks}")
            expect(told[3], want[3][:, parts[r]], of=f"dw2 on rank {r} of {ranks}")


@agree.hidden("two sums", "One all-reduce forwards, one backwards, no more.")
def mlp_bytes(ns, rng):  # type: ignore[no-untyped-def]
    got, want, _ = told_mlp(ns, rng, 4, 8, 3)
    two = ring(4, want[0], want[1])
    expect_that(
        got.log.total_bytes == two,
        f"{got.log.total_bytes} bytes are sent, two all-reduces are {two}",
    )


# 3.3.4-c
numbers = Exercise(
    "3.3.4-c",
    title="How many microbatches",
    kind="predict",
    points=2,
    needs=["naive", "microbatches", "chunks", "kept"],
)


@numbers.test("the naive pipeline", "How many of the eight stages work at any time?")
def of_naive(ns, rng):  # type: ignore[no-untyped-def]
    expect_that(abs(float(ns.naive) - 7 / 8) < 5e-4, "naive is not right")


@numbers.test(
    "microbatches", "Solve the formula of the section for m; idle is a share of the whole time."
)
def of_microbatches(ns, rng):  # type: ignore[no-untyped-def]
    slip = ": that is idle over useful time" if int(ns.microbatches) == 70 else ""
    expect_that(int(ns.microbatches) == ns.microbatches == 63, "microbatches is not right" + slip)


@numbers.test("chunks", "Interleaving puts v m in the place of m.")
def of_chunks(ns, rng):  # type: ignore[no-untyped-def]
    slip = ": that is idle over useful time" if int(ns.chunks) == 5 else ""
    expect_that(int(ns.chunks) == ns.chunks == 4, "chunks is not right" + slip)


@numbers.test(
    "what is kept", "How many microbatches can be under way when the first one comes back?"
)
def of_kept(ns, rng):  # type: ignore[no-untyped-def]
    slip = ": so many would GPipe keep" if int(ns.kept) == 63 else ""
    expect_that(int(ns.kept) == ns.kept == 8, "kept is not right" + slip)


# 3.3.4-d
order = Exercise(
    "3.3.4-d", title="One forward, one backward", kind="implement", points=3, needs=["actions"]
)

PIPELINES = ((1, 3), (2, 2), (3, 5), (4, 8), (4, 2), (6, 6))


def simulated(ns, p, m):  # type: ignore[no-untyped-def]
    """The answer's schedule on a clock."""
    made = [[Action(str(kind), int(i)) for kind, i in ns.actions(p, m, r)] for r in range(p)]
    whole = sorted((kind, i) for kind in "FB" for i in range(m))
    for r, actions in enumerate(made):
        expect_that(
            sorted((a.kind, a.microbatch) for a in actions) == whole,
            f"stage {r} of {p}: every microbatch of {m} needs one F and one B",
        )
    try:
        return simulate(made, 1.0, 2.0)
    except ValueError as error:
        expect_that(False, f"{p} stages, {m} microbatches: nobody can go on: {error}")


@order.test(
    "it runs",
    "Can stage 0 do a backward pass before the last stage has begun? And there may be fewer microbatches "
    "than stages.",
)
def runs(ns, rng):  # type: ignore[no-untyped-def]
    for p, m in PIPELINES:
        simulated(ns, p, m)


@order.hidden(
    "no more memory than needed", "How many forward passes come before the first backward pass?"
)
def memory(ns, rng):  # type: ignore[no-untyped-def]
    for p, m in PIPELINES:
        peak = simulated(ns, p, m).peak
        want = [min(p - r, m) for r in range(p)]
        expect_that(peak == want, f"{p} stages keep {peak} of {m} microbatches; 1F1B keeps {want}")


@order.hidden("no more time than needed", "Does a stage wait though it could do a forward pass?")
def time(ns, rng):  # type: ignore[no-untyped-def]
    for p, m in PIPELINES:
        took, want = simulated(ns, p, m).time, 3.0 * (m + p - 1)
        expect_that(
            abs(took - want) < 1e-9,
            f"{p} stages take {took:g} for {m} microbatches; 1F1B takes {want:g}",
        )


# 3.3.4-e
ordering(
    "3.3.4-e",
    title="No schedule is faster",
    points=2,
    name="proof",
    steps={"D": "", "A": "", "F": "DA", "C": "F", "B": "AC"},
    wrong={
        "E": "it does begin them earlier, but its last one ends no earlier",
        "G": "it waits once at the start and once at the end, not for every microbatch",
    },
    hint="Look at the last stage: when can it start, what must it do, and what comes after?",
)
