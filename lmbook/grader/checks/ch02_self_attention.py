"""Exercises of section 2.2.3, self-attention."""

import numpy as np

from lmbook.grader import Exercise, expect, expect_that, ordering, predict


def attention(q, k, v, causal=False):  # type: ignore[no-untyped-def]
    """The reference, in float64."""
    scores = q @ k.T / np.sqrt(q.shape[1])
    if causal:
        scores = np.where(np.tri(len(q), len(k), dtype=bool), scores, -np.inf)
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True) @ v


causal = Exercise(
    "2.2.3-a", title="Causal attention", kind="implement", points=2, needs=["causal_attention"]
)


@causal.test("the first position sees itself alone", "Which scores does the mask leave in row 0?")
def first(ns, rng):  # type: ignore[no-untyped-def]
    q, k, v = rng.normal(size=(3, 4, 5))
    expect(ns.causal_attention(q, k, v)[0], v[0], of="causal_attention(q, k, v)[0]")


@causal.hidden("random queries, keys and values", "Mask, scale, softmax, mean: in which order?")
def random(ns, rng):  # type: ignore[no-untyped-def]
    q, k = rng.normal(size=(2, 6, 3))
    v = rng.normal(size=(6, 4))
    expect(ns.causal_attention(q, k, v), attention(q, k, v, True), of="causal_attention(q, k, v)")


@causal.hidden("scores in the thousands", "What may be subtracted from every score of a row?")
def large(ns, rng):  # type: ignore[no-untyped-def]
    q, k, v = rng.normal(size=(3, 5, 4))
    q = q * 5000
    expect(ns.causal_attention(q, k, v), attention(q, k, v, True), of="with large scores")


blend = Exercise(
    "2.2.3-b", title="Rows that do not sum to one", kind="debug", points=2, needs=["attend"]
)


@blend.test(
    "each output is a weighted mean of the values", "Along which axis do weights sum to one?"
)
def mean(ns, rng):  # type: ignore[no-untyped-def]
    q, k = rng.normal(size=(2, 5, 4))
    expect(ns.attend(q, k, np.ones((5, 2))), np.ones((5, 2)), of="attend(q, k, ones)")


@blend.hidden("queries and keys of different number", "Compare both factors with the formula.")
def uneven(ns, rng):  # type: ignore[no-untyped-def]
    q, k, v = rng.normal(size=(3, 8)), rng.normal(size=(6, 8)), rng.normal(size=(6, 2))
    got = ns.attend(q, k, v)
    expect(got, attention(q, k, v), of="attend(q, k, v)")
    expect_that(np.shape(got) == (3, 2), "the result must have one row for each query")


def _grouped() -> int:
    width, heads, shared = 512, 8, 2
    head = width // heads
    return 2 * width * heads * head + 2 * width * shared * head


predict(
    "2.2.3-c",
    title="Weights with shared keys",
    points=1,
    name="weights",
    answer=_grouped,
    hint="Queries and output keep their size; how wide are the keys of two heads together?",
    mistakes={"that is without sharing": lambda: 4 * 512 * 512},
)

ordering(
    "2.2.3-d",
    title="Shuffled in, shuffled out",
    points=2,
    name="proof",
    steps={"C": "", "A": "C", "E": "A", "B": "E"},
    wrong={
        "D": "softmax is not linear: it does not pass through sums",
        "F": "the scores of a shuffled sequence are shuffled, not equal",
    },
    hint="Begin with what happens to Q, K and V, then to the scores.",
)
