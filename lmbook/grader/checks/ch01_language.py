"""Exercises of section 1.2.1, language models: spans, masks, sizes, the nucleus, forced and greedy."""

import numpy as np

from lmbook import nn
from lmbook.grader import Exercise, expect, expect_number, expect_that, ordering
from lmbook.models import GPT
from lmbook.models.gpt import SIZES

# 1.2.1-a
holes = Exercise(
    "1.2.1-a", title="Holes, and what fills them", kind="implement", points=3, needs=["corrupt"]
)


def split(ns, ids, spans, sentinels, of):  # type: ignore[no-untyped-def]
    """Source and target against the definition, token by token."""
    source: list[int] = []
    target: list[int] = []
    at = 0
    for (start, length), sentinel in zip(spans, sentinels):
        source += [*ids[at:start], sentinel]
        target += [sentinel, *ids[start : start + length]]
        at = start + length
    source += list(ids[at:])
    target.append(sentinels[len(spans)])
    got = ns.corrupt(list(ids), list(spans), list(sentinels))
    expect_that(
        isinstance(got, (tuple, list)) and len(got) == 2,
        f"{of}: corrupt should return two lists, source and target",
    )
    for name, have, want in zip(("source", "target"), got, (source, target)):
        expect_that(
            [int(v) for v in have] == [int(v) for v in want],
            f"{of}: the {name} should be {[int(v) for v in want]}, and is {[int(v) for v in have]}",
        )


@holes.test("one span", "One sentinel in the source; in the target it, its tokens, and the end.")
def one_span(ns, rng):  # type: ignore[no-untyped-def]
    split(
        ns,
        [10, 11, 12, 13, 14],
        [(1, 2)],
        [90, 91],
        "tokens 10 to 14 with a span of 2 from place 1",
    )


@holes.hidden("many spans", "Where in `ids` are you after a span? What is left after the last?")
def many_spans(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(5):
        lengths, gaps = rng.integers(1, 4, 3), rng.integers(1, 4, 3)
        starts = np.cumsum(gaps) + np.concatenate([[0], np.cumsum(lengths)[:-1]])
        total = int(lengths.sum() + gaps.sum() + rng.integers(1, 4))
        spans = [(int(s), int(n)) for s, n in zip(starts, lengths)]
        split(ns, rng.integers(10, 80, total), spans, [90, 91, 92, 93], "three spans")


@holes.hidden("at the edges", "A span may begin the text, or end it.")
def edges(ns, rng):  # type: ignore[no-untyped-def]
    split(ns, [10, 11, 12, 13], [(0, 1), (2, 2)], [90, 91, 92], "spans at both ends")


# 1.2.1-b
masked = Exercise("1.2.1-b", title="A mask that slips", kind="debug", points=3, needs=["hide"])


def hidden(ns, ids, chosen, fate, other, of, labels=False):  # type: ignore[no-untyped-def]
    """What the model reads, or the labels."""
    ids, chosen, fate, other = (np.asarray(v) for v in (ids, chosen, fate, other))
    kept = ids.copy()
    got = ns.hide(ids, chosen, fate, other, 99)
    expect_that(np.array_equal(ids, kept), f"{of}: the text that was given has been changed")
    if labels:
        expect(got[1], np.where(chosen, ids, -100), of=f"{of}: the labels")
        return
    read = np.where(chosen & (fate < 0.8), 99, ids)
    read = np.where(chosen & (fate >= 0.9), other, read)
    expect(got[0], read, of=f"{of}: what the model reads")


def many(ns, rng, labels=False):  # type: ignore[no-untyped-def]
    for _ in range(4):
        shape = (3, 20)
        ids, other = rng.integers(90, size=shape), rng.integers(90, size=shape)
        chosen, fate = rng.random(shape) < 0.4, rng.random(shape)
        hidden(ns, ids, chosen, fate, other, "random tokens", labels)


@masked.test(
    "labels", "What is the label of a chosen token with fate 0.85? And of one that was not chosen?"
)
def all_labels(ns, rng):  # type: ignore[no-untyped-def]
    fates, other = [0.5, 0.85, 0.95, 0.1], [1, 2, 3, 4]
    hidden(ns, [5, 6, 7, 8], [False, True, True, True], fates, other, "three of four", True)
    many(ns, rng, labels=True)


@masked.hidden("three fates", "Follow a chosen token with fate 0.85, and one with 0.95.")
def three_fates(ns, rng):  # type: ignore[no-untyped-def]
    hidden(ns, [5, 6, 7], [True] * 3, [0.1, 0.85, 0.95], [1, 2, 3], "fates 0.1, 0.85, 0.95")


@masked.hidden("only the chosen", "May a token change that was not chosen?")
def only_chosen(ns, rng):  # type: ignore[no-untyped-def]
    hidden(ns, [5, 6, 7], [False] * 3, [0.1, 0.85, 0.95], [1, 2, 3], "nothing chosen")
    hidden(ns, [5, 6, 7], [False, True, False], [0.5] * 3, [1, 2, 3], "one token of three")


@masked.hidden(
    "any text", "Go through the three fates, for tokens that are chosen and for those that are not."
)
def any_text(ns, rng):  # type: ignore[no-untyped-def]
    many(ns, rng)


# 1.2.1-c
paper = Exercise(
    "1.2.1-c", title="Sizes on paper", kind="predict", points=4,
    needs=["matrices", "gigabytes", "width", "written"],
)  # fmt: skip


def gpt3() -> int:
    with nn.shapes_only():
        return GPT(SIZES["gpt3-13b"]).num_parameters()


@paper.test("matrices", "Twelve matrices of width times width in each layer.")
def in_layers(ns, rng):  # type: ignore[no-untyped-def]
    slips = {40 * 5120**2: "a layer has more than one such matrix",
             12 * 12 * 5120**2: "40 layers, not 12",
             4 * 40 * 5120**2: "two more matrices are four times as wide"}  # fmt: skip
    expect_number(ns.matrices, 12 * 40 * 5120**2, "matrices", slips, rtol=0.02)


@paper.hidden("gigabytes", "All parameters, at two bytes each. What has a GPT beside its layers?")
def stored(ns, rng):  # type: ignore[no-untyped-def]
    n = gpt3()
    slips = {n / 1e9: "that is one byte each", 4 * n / 1e9: "that is four bytes each",
             24e-9 * 40 * 5120**2: "each token has a vector, too"}  # fmt: skip
    expect_number(ns.gigabytes, 2 * n / 1e9, "gigabytes", slips, rtol=0.02)


@paper.hidden("width", "Solve 12 x layers x width squared = 1.75 trillion.")
def wide(ns, rng):  # type: ignore[no-untyped-def]
    slips = {122880: "parameters grow with the square of the width",
             1.75e12 / (12 * 96): "take the root",
             (1.75e12 / 96) ** 0.5: "twelve matrices a layer"}  # fmt: skip
    expect_number(ns.width, (1.75e12 / (12 * 96)) ** 0.5, "width", slips, rtol=0.02)


@paper.hidden("written", "What stands in the target beside the hidden tokens?")
def target_length(ns, rng):  # type: ignore[no-untyped-def]
    slips = {0.15 * 800: "each span has a sentinel, too", 0.85 * 800: "that is what stays",
             0.15 * 800 + 0.15 * 800 / 4: "what stands after the last span?",
             0.85 * 800 + 30: "that is what it reads"}  # fmt: skip
    expect_number(ns.written, 0.15 * 800 + 0.15 * 800 / 4 + 1, "written", slips, rtol=1e-6)


# 1.2.1-d
nucleus = Exercise("1.2.1-d", title="The nucleus", kind="implement", points=3, needs=["nucleus"])


def kept(ns, p, top_p, of):  # type: ignore[no-untyped-def]
    p = np.asarray(p, float)
    order = np.argsort(-p, kind="stable")
    many = int(np.searchsorted(np.cumsum(p[order]), top_p - 1e-12) + 1)
    want = np.zeros_like(p)
    want[order[:many]] = p[order[:many]]
    given = p.copy()
    got = ns.nucleus(given, top_p)
    expect_that(np.array_equal(given, p), f"{of}: the probabilities that were given have changed")
    expect(got, want / want.sum(), of=of, rtol=1e-9, atol=1e-12)


@nucleus.test("three of four", "Add the largest until the sum is at least top_p.")
def three_of_four(ns, rng):  # type: ignore[no-untyped-def]
    kept(ns, [0.5, 0.25, 0.15, 0.1], 0.8, "0.5, 0.25, 0.15, 0.1 with 0.8")


@nucleus.hidden("any order", "Each probability must go back to its own place.")
def any_order(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(6):
        p = rng.dirichlet(np.full(9, 0.7))
        kept(ns, p, float(rng.uniform(0.2, 0.95)), "nine probabilities, in no order")


@nucleus.hidden("at least one", "Is the token that crosses top_p inside?")
def at_least_one(ns, rng):  # type: ignore[no-untyped-def]
    kept(ns, [0.1, 0.9], 0.3, "0.1, 0.9 with 0.3")
    kept(ns, [0.25, 0.5, 0.25], 0.5, "0.25, 0.5, 0.25 with 0.5")


@nucleus.hidden("all", "top_p of 1 keeps everything.")
def everything(ns, rng):  # type: ignore[no-untyped-def]
    kept(ns, [0.25, 0.5, 0.25], 1.0, "top_p of 1")


# 1.2.1-e
ordering(
    "1.2.1-e",
    title="Forced and greedy",
    points=2,
    name="proof",
    steps={"D": "", "A": "", "F": "DA", "B": "F", "G": "A", "C": "BG"},
    wrong={
        "E": "an error of the written text changes what the model reads from there on, so later answers may "
        "differ in any way",
        "H": "logits at a position depend on the tokens before it; in a causal model not on those after it",
    },
    hint="What does the model read at the first position, in both? And at the one after?",
)
