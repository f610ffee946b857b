"""Exercises of section 3.3.5, long contexts, experts and meshes."""

from math import prod

import numpy as np

from lmbook.distributed import run as run_ranks
from lmbook.grader import Exercise, array, expect, expect_that, ordering
from lmbook.parallel import Workload, nodes, virtual_step

# 3.3.5-a
merging = Exercise(
    "3.3.5-a", title="Two parts of a softmax", kind="implement", points=2, needs=["merge"]
)


def part(s, v):  # type: ignore[no-untyped-def]
    """Attention to some keys: output, and the log of the sum of exponentials."""
    top = s.max(-1, keepdims=True)
    e = np.exp(s - top)
    total = e.sum(-1, keepdims=True)
    return e @ v / total, top + np.log(total)


def merged(ns, left, right):  # type: ignore[no-untyped-def]
    out, log_sum = ns.merge(*left, *right)
    return array(out, "the output"), array(log_sum, "the log of the sum")


@merging.test("ordinary scores", "What share of the whole sum has each part?")
def ordinary(ns, rng):  # type: ignore[no-untyped-def]
    s, v = rng.normal(size=(5, 9)), rng.normal(size=(9, 3))
    out, log_sum = merged(ns, part(s[:, :4], v[:4]), part(s[:, 4:], v[4:]))
    want, whole = part(s, v)
    expect(out, want, of="the output")
    expect(log_sum, whole, of="the log of the sum")


@merging.hidden(
    "scores of a thousand", "exp(1000) overflows and exp(-1000) is zero: subtract first."
)
def extreme(ns, rng):  # type: ignore[no-untyped-def]
    for shift in (1000.0, -1000.0):
        s, v = rng.normal(size=(4, 6)) * 3 + shift, rng.normal(size=(6, 2))
        with np.errstate(all="ignore"):
            out, log_sum = merged(ns, part(s[:, :2], v[:2]), part(s[:, 2:], v[2:]))
        want, whole = part(s, v)
        expect(out, want, of=f"the output for scores near {shift:g}")
        expect(log_sum, whole, of=f"the log of the sum for scores near {shift:g}")


@merging.hidden("float32 stays exact", "Is the result in float32, and as good as float32 allows?")
def single(ns, rng):  # type: ignore[no-untyped-def]
    s, v = rng.normal(size=(64, 32)) * 40, rng.normal(size=(32, 4))
    want, _ = part(s, v)
    given = [
        [a.astype(np.float32) for a in part(s[:, i], v[i])] for i in (slice(16), slice(16, 32))
    ]
    out, _ = merged(ns, *given)
    expect_that(out.dtype == np.float32, f"from float32 came {out.dtype}")
    worst = np.abs(out - want).max()
    expect_that(worst < 5e-5, f"the largest error in float32 is {worst:.1e}; 5e-5 is within reach")


@merging.hidden("an empty part", "A part without keys has the log of zero, minus infinity.")
def empty(ns, rng):  # type: ignore[no-untyped-def]
    out, log_sum = part(rng.normal(size=(3, 4)), rng.normal(size=(4, 2)))
    nothing = np.zeros_like(out), np.full_like(log_sum, -np.inf)
    with np.errstate(all="ignore"):
        for left, right, what in (
            ((out, log_sum), nothing, "with nothing"),
            (nothing, (out, log_sum), "of nothing with something"),
        ):
            got = merged(ns, left, right)
            expect(got[0], out, of=f"the output, merged {what}")
            expect(got[1], log_sum, of=f"the log of the sum, merged {what}")
        expect(merged(ns, nothing, nothing)[0], nothing[0], of="the output of nothing with nothing")


# 3.3.5-b
filling = Exercise("3.3.5-b", title="A full expert", kind="debug", points=2, needs=["mixture"])


def right_mixture(x, chosen, weights, experts, capacity):  # type: ignore[no-untyped-def]
    y, used = np.zeros_like(x), [0] * len(experts)
    for choice in range(chosen.shape[1]):
        for token in range(len(x)):
            e = chosen[token, choice]
            if used[e] < capacity:
                used[e] += 1
                y[token] += weights[token, choice] * experts[e](x[token])
    return y


def example(rng, t, m, k):  # type: ignore[no-untyped-def]
    x = rng.normal(size=(t, 3))
    chosen = np.array([rng.permutation(m)[:k] for _ in range(t)])
    weights = rng.dirichlet(np.ones(k), t)
    scales = rng.uniform(0.5, 2, m)
    return x, chosen, weights, [lambda row, a=a: a * np.tanh(row) for a in scales]


@filling.test("room for all", "A token has k experts; what becomes of the first one's answer?")
def roomy(ns, rng):  # type: ignore[no-untyped-def]
    x, chosen, weights, experts = example(rng, 6, 4, 2)
    want = right_mixture(x, chosen, weights, experts, 12)
    expect(ns.mixture(x, chosen, weights, experts, 12), want, of="y with room for all")


@filling.hidden("no more than fit", "How many tokens has an expert taken when it is full?")
def bounded(ns, rng):  # type: ignore[no-untyped-def]
    x, _, _, experts = example(rng, 5, 2, 1)
    chosen, weights = np.zeros((5, 1), int), np.ones((5, 1))
    for capacity in (0, 1, 3):
        got = array(ns.mixture(x, chosen, weights, experts, capacity), "y")
        served = int((np.abs(got).max(1) > 0).sum())
        expect_that(
            served == capacity, f"with capacity {capacity} the expert served {served} tokens"
        )


@filling.hidden("who comes first", "All first choices are served before any second choice.")
def priority(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(10):
        x, chosen, weights, experts = example(rng, 12, 3, 2)
        capacity = int(rng.integers(2, 8))
        expect(
            ns.mixture(x, chosen, weights, experts, capacity),
            right_mixture(x, chosen, weights, experts, capacity),
            of=f"y of 12 tokens and 3 experts with capacity {capacity}",
        )


# 3.3.5-c
sharing = Exercise("3.3.5-c", title="Equal shares", kind="implement", points=2, needs=["shares"])


def told_shares(ns, length, ranks):  # type: ignore[no-untyped-def]
    found = [array(p, f"share {i}") for i, p in enumerate(ns.shares(length, ranks))]
    expect_that(len(found) == ranks, f"shares({length}, {ranks}) gives {len(found)} shares")
    return found


@sharing.test("every position once", "All shares together are 0 to length - 1.")
def complete(ns, rng):  # type: ignore[no-untyped-def]
    for ranks in (1, 2, 3, 4):
        length = 6 * ranks
        together = np.sort(np.concatenate(told_shares(ns, length, ranks)))
        expect(together, np.arange(length), of=f"the positions of shares({length}, {ranks})")


@sharing.test(
    "as many, in order", "The positions of a share ascend, and shares are equal in number."
)
def equal(ns, rng):  # type: ignore[no-untyped-def]
    for ranks in (2, 3, 5):
        found = told_shares(ns, 4 * ranks, ranks)
        sizes = [len(p) for p in found]
        expect_that(set(sizes) == {4}, f"shares({4 * ranks}, {ranks}) have {sizes} positions")
        expect_that(
            all((np.diff(p) > 0).all() for p in found),
            f"a share of shares({4 * ranks}, {ranks}) does not ascend",
        )


@sharing.hidden(
    "as much work", "Position t needs t + 1 pairs. Which two positions make a fair couple?"
)
def fair(ns, rng):  # type: ignore[no-untyped-def]
    for ranks in (2, 3, 8):
        length = 2 * ranks * int(rng.integers(1, 6))
        work = [int((p + 1).sum()) for p in told_shares(ns, length, ranks)]
        expect_that(
            len(set(work)) == 1,
            f"with shares({length}, {ranks}) the ranks need {min(work)} to {max(work)} pairs",
        )


# 3.3.5-d
placing = Exercise(
    "3.3.5-d", title="Sixty-four accelerators", kind="implement", points=2, needs=["axes"]
)


def sizes(ns):  # type: ignore[no-untyped-def]
    """The answer as a dict of whole numbers."""
    axes = ns.axes
    expect_that(
        isinstance(axes, dict) and sorted(axes) == ["dp", "pp", "tp"],
        'axes must be a dict with the keys "dp", "pp" and "tp", in the order of the mesh',
    )
    told = {k: int(n) for k, n in axes.items()}
    expect_that(min(told.values()) >= 1, f"an axis has at least one rank, not {min(told.values())}")
    return told


@placing.test("64 ranks, 80 layers, 8 heads", "Which products and quotients must be whole?")
def whole_numbers(ns, rng):  # type: ignore[no-untyped-def]
    n = sizes(ns)
    expect_that(prod(n.values()) == 64, f"{n} makes {prod(n.values())} ranks")
    expect_that(80 % n["pp"] == 0, f"80 layers do not divide into {n['pp']} stages")
    expect_that(8 % n["tp"] == 0, f"8 heads of keys do not divide among {n['tp']} ranks")


@placing.test("it fits", "What divides weights and state: which axes, and which not?")
def fits(ns, rng):  # type: ignore[no-untyped-def]
    n = sizes(ns)
    room = 16 * 70e9 / (n["pp"] * n["tp"]) / 1e9
    expect_that(room <= 80, f"each accelerator would hold {room:.0f} GB of state; it has 80")


@placing.hidden("it is quick", "What does each axis send, and how often? Mind the bubble, too.")
def quick(ns, rng):  # type: ignore[no-untyped-def]
    n = sizes(ns)
    work = Workload(microbatches=64 // n["dp"])
    log = run_ranks(virtual_step, 64, n, work, backend="sim", network=nodes(64)).log
    assert log is not None
    expect_that(log.time <= 12, f"a step takes {log.time:.1f} modelled seconds; 12 can be had")


# 3.3.5-e
ordering(
    "3.3.5-e",
    title="Zigzag is fair",
    points=2,
    name="proof",
    steps={"D": "", "B": "D", "F": "D", "A": "BF", "E": "A"},
    wrong={
        "C": "a later piece has larger positions, so it needs more pairs",
        "G": "a rank's two pieces are neighbours only for the last rank",
    },
    hint="Say who has what; count for a position, then for a piece, then for a rank.",
)
