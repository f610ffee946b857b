"""Exercises of section 1.2.3, audio models: causal convolutions, CTC, masks, a contrastive loss."""

import itertools

import numpy as np

from lmbook.grader import Exercise, expect, expect_number, ordering
from lmbook.models.ctc import collapse

# 1.2.3-a
causal = Exercise(
    "1.2.3-a", title="Nothing from the future", kind="implement", points=3, needs=["causal_conv"]
)


def by_definition(x, w, dilation):  # type: ignore[no-untyped-def]
    """The formula, one product at a time."""
    out = np.zeros((w.shape[0], x.shape[1]))
    for t, i in itertools.product(range(x.shape[1]), range(w.shape[2])):
        past = t - (w.shape[2] - 1 - i) * dilation
        if past >= 0:
            out[:, t] += w[:, :, i] @ x[:, past]
    return out


def convolved(ns, rng, channels, outputs, taps, dilation, length):  # type: ignore[no-untyped-def]
    x, w = rng.normal(size=(channels, length)), rng.normal(size=(outputs, channels, taps))
    of = f"{channels} to {outputs} channels, {taps} taps, dilation {dilation}, {length} samples"
    expect(ns.causal_conv(x, w, dilation), by_definition(x, w, dilation), of=of)


@causal.test("a click", "Which tap is now? How far back is the one before it?")
def click(ns, rng):  # type: ignore[no-untyped-def]
    x, w = np.zeros((1, 7)), np.array([[[3.0, 2.0, 1.0]]])
    x[0, 2] = 1
    expect(ns.causal_conv(x, w, 2), by_definition(x, w, 2), of="a click at 2, dilation 2")


@causal.hidden("no future", "What does an output at t become when only later inputs change?")
def no_future(ns, rng):  # type: ignore[no-untyped-def]
    x, w = rng.normal(size=(2, 12)), rng.normal(size=(3, 2, 3))
    changed = x.copy()
    changed[:, 7:] += 1
    first, second = (np.asarray(ns.causal_conv(v, w, 2)) for v in (x, changed))
    expect(second[:, :7], first[:, :7], of="outputs before the change")


@causal.hidden("channels", "Each output channel adds up all input channels.")
def channels(ns, rng):  # type: ignore[no-untyped-def]
    for dilation in (1, 2, 5):
        convolved(ns, rng, 3, 4, 2, dilation, 20)
        convolved(ns, rng, 2, 3, 4, dilation, 25)


@causal.hidden("short sounds", "What if a tap looks back beyond the beginning, for every sample?")
def short(ns, rng):  # type: ignore[no-untyped-def]
    convolved(ns, rng, 2, 2, 3, 8, 6)
    convolved(ns, rng, 1, 2, 2, 4, 4)


# 1.2.3-b
summed = Exercise("1.2.3-b", title="Lost paths", kind="debug", points=3, needs=["probability"])


def every_path(ns, p, target):  # type: ignore[no-untyped-def]
    """Add up all paths that collapse to the target, and compare."""
    rows = range(len(p))
    want = sum(
        np.prod(p[rows, path])
        for path in itertools.product(range(p.shape[1]), repeat=len(p))
        if collapse(path) == target
    )
    of = f"the probability of {target} in {len(p)} frames"
    expect(ns.probability(p, target), want, of=of, rtol=1e-9, atol=1e-12)


def frames(rng, t, symbols):  # type: ignore[no-untyped-def]
    return rng.dirichlet(np.ones(symbols), size=t)


@summed.test("one frame", "In which places may a path begin?")
def one_frame(ns, rng):  # type: ignore[no-untyped-def]
    every_path(ns, frames(rng, 1, 3), [1])


@summed.hidden("any end", "In which places may a path end?")
def any_end(ns, rng):  # type: ignore[no-untyped-def]
    every_path(ns, frames(rng, 4, 3), [1])
    every_path(ns, frames(rng, 5, 3), [2, 1])


@summed.hidden("equal neighbours", "What becomes of two equal letters without a blank between?")
def neighbours(ns, rng):  # type: ignore[no-untyped-def]
    every_path(ns, frames(rng, 5, 3), [1, 1])
    every_path(ns, frames(rng, 2, 3), [2, 2])
    every_path(ns, frames(rng, 6, 3), [1, 2, 2])


@summed.hidden("different neighbours", "Which blank may be left out?")
def different(ns, rng):  # type: ignore[no-untyped-def]
    every_path(ns, frames(rng, 3, 4), [1, 2, 3])
    every_path(ns, frames(rng, 6, 3), [1, 2, 1])


@summed.hidden("silence", "Which paths leave the empty text?")
def silence(ns, rng):  # type: ignore[no-untyped-def]
    every_path(ns, frames(rng, 4, 3), [])


# 1.2.3-c
paper = Exercise(
    "1.2.3-c", title="Heard on paper", kind="predict", points=4,
    needs=["field", "paths", "frames", "masked"],
)  # fmt: skip


@paper.test("receptive field", "What does each layer add to it?")
def receptive(ns, rng):  # type: ignore[no-untyped-def]
    slips = {3072: "the sample itself is counted once, not once a stack",
             3069: "the sample itself is heard, too", 1024: "that is one stack",
             31: "the dilations count, not the layers"}  # fmt: skip
    expect_number(ns.field, 3070, "field", slips)


@paper.hidden("alignments", "Where may a letter begin and end? Blanks may stand anywhere.")
def alignments(ns, rng):  # type: ignore[no-untyped-def]
    slips = {10: "blanks may stand between, before and after", 20: "letters may be repeated",
             4096: "that is all paths"}  # fmt: skip
    expect_number(ns.paths, 84, "paths", slips)


@paper.hidden("shortest", "Equal neighbours need something between them.")
def shortest(ns, rng):  # type: ignore[no-untyped-def]
    slips = {9: "equal neighbours collapse", 10: "there are two pairs of equal neighbours",
             19: "most blanks can be left out"}  # fmt: skip
    expect_number(ns.frames, 11, "frames", slips)


@paper.hidden("masks", "What must not happen, for a moment to stay visible?")
def masks(ns, rng):  # type: ignore[no-untyped-def]
    slips = {0.4: "spans overlap", 0.95**8: "that is what stays visible", 0.05: "a span has length"}
    expect_number(ns.masked, 1 - 0.95**8, "masked", slips, rtol=0.01)


# 1.2.3-d
contrast = Exercise(
    "1.2.3-d", title="Which one was it?", kind="implement", points=3, needs=["contrastive"]
)


def compared(ns, c, q, negatives, temperature, of):  # type: ignore[no-untyped-def]
    """The learner's loss against the formula, with logarithms of sums taken safely."""
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (c, q)]
    scores = unit[0] @ unit[1].T / temperature
    rows = np.arange(len(c))[:, None]
    chosen = np.concatenate([scores[rows, rows], scores[rows, negatives]], axis=1)
    top = chosen.max(axis=1)
    log_sum = top + np.log(np.exp(chosen - top[:, None]).sum(axis=1))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        got = ns.contrastive(c, q, negatives, temperature)
    expect(got, (log_sum - chosen[:, 0]).mean(), of=of, rtol=1e-7, atol=1e-9)


def others(rng, m, k):  # type: ignore[no-untyped-def]
    """For each of m rows k other rows."""
    return np.array([rng.choice(np.delete(np.arange(m), i), k) for i in range(m)])


@contrast.test("no idea", "If all are equally near, what is the probability of the true one?")
def no_idea(ns, rng):  # type: ignore[no-untyped-def]
    c, q = np.ones((3, 4)), np.ones((3, 4))
    compared(ns, c, q, np.array([[1, 2], [0, 2], [0, 1]]), 0.1, "all alike, two others")


@contrast.hidden("cosines", "Does the length of a vector count?")
def cosines(ns, rng):  # type: ignore[no-untyped-def]
    c, q = (
        rng.normal(size=(6, 5)) * 3,
        rng.normal(size=(6, 5)) * 10.0 ** rng.integers(-2, 3, (6, 1)),
    )
    compared(ns, c, q, others(rng, 6, 3), 1.0, "vectors of all lengths")


@contrast.hidden("temperature", "Where does the temperature stand?")
def temperature(ns, rng):  # type: ignore[no-untyped-def]
    for value in (0.1, 0.5, 2.0):
        c, q = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
        compared(ns, c, q, others(rng, 5, 8), value, f"temperature {value}")


@contrast.hidden("cold", "exp(1000) is infinite. Take out the largest first.")
def cold(ns, rng):  # type: ignore[no-untyped-def]
    c, q = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    compared(ns, c, q, others(rng, 5, 4), 0.0005, "temperature 0.0005")


# 1.2.3-e
ordering(
    "1.2.3-e",
    title="Every alignment once",
    points=2,
    name="proof",
    steps={"C": "", "G": "C", "B": "C", "H": "GB", "D": "GB", "A": "D", "E": "AH"},
    wrong={
        "F": "a path that goes from one letter to the same letter again has said it once",
        "I": "blanks between different letters, at the beginning and at the end may be left out",
    },
    hint="Give every frame a place. How do places change? Then split the beginnings by the frame before.",
)
