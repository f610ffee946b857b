"""Exercises of section B.3, the assistant: valid spans, BM25, numbers on paper, windows."""

import math
from collections import Counter

import numpy as np

from lmbook.grader import Exercise, expect, expect_number, expect_that, ordering
from lmbook.grader.expect import number

# B.3-a
span = Exercise(
    "B.3-a", title="The best valid span", kind="implement", points=3, needs=["best_span"]
)


def searched(start, end, allowed, most):  # type: ignore[no-untyped-def]
    """All pairs, one after the other."""
    pairs = [
        (start[i] + end[j], i, j)
        for i in range(len(start))
        for j in range(i, min(i + most, len(start)))
        if allowed[i] and allowed[j]
    ]
    return max(pairs)[1:]


def compared(ns, start, end, allowed, most, of):  # type: ignore[no-untyped-def]
    got = tuple(ns.best_span(start, end, allowed, most))
    expect_that(len(got) == 2, f"{of}: best_span gives two numbers, first and last token")
    got, want = tuple(int(number(x)) for x in got), searched(start, end, allowed, most)
    expect_that(got == want, f"{of}: got tokens {got}, the best are {want}")


@span.test("five tokens", "Which of the pairs are allowed, and which of these has the largest sum?")
def five(ns, rng):  # type: ignore[no-untyped-def]
    start, end = np.array([1.0, 0, 5, 2, 0]), np.array([6.0, 1, 0, 3, 2])
    compared(ns, start, end, np.ones(5, bool), 5, "an end of 6 before a beginning of 5")


@span.hidden("not in the question", "A beginning and an end both have to be allowed.")
def in_text(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(20):
        start, end = rng.normal(size=(2, 20))
        allowed = np.arange(20) >= 8
        start[[3, 9]], end[[5, 17]] = 9.0, 9.0  # the best pair of the text is in order
        compared(ns, start, end, allowed, 20, "the first eight tokens are the question's")


@span.hidden("not too long", "A span of `most` tokens is still allowed, one more is not.")
def short(ns, rng):  # type: ignore[no-untyped-def]
    start, end = rng.normal(size=(2, 12)) * 0.01
    start[2], end[5] = 3.0, 2.0
    compared(ns, start, end, np.ones(12, bool), 4, "a span of exactly the most tokens")
    compared(ns, start, end, np.ones(12, bool), 3, "a span of one token too many")


@span.hidden("one after the other is not enough", "The best end depends on the beginning.")
def jointly(ns, rng):  # type: ignore[no-untyped-def]
    for length in (1, 2, 7, 40):
        for _ in range(10):
            start, end = rng.normal(size=(2, length))
            compared(
                ns, start, end, np.ones(length, bool), length, f"random logits of {length} tokens"
            )


# B.3-b
ranking = Exercise("B.3-b", title="A search gone wrong", kind="debug", points=3, needs=["bm25"])


def right(texts, question, k1=1.2, b=0.75):  # type: ignore[no-untyped-def]
    words = [text.split() for text in texts]
    mean = np.mean([len(w) for w in words])
    found = np.zeros(len(texts))
    for word in question.split():
        n = sum(word in w for w in words)
        idf = math.log(1 + (len(texts) - n + 0.5) / (n + 0.5))
        for i, w in enumerate(words):
            f = Counter(w)[word]
            found[i] += idf * f / (f + k1 * (1 - b + b * len(w) / mean))
    return found


@ranking.test(
    "a word three times in one text",
    "What does n count: how often a word stands, or in how many texts?",
)
def repeated(ns, rng):  # type: ignore[no-untyped-def]
    texts = ["cat cat cat dog", "a bird sings here", "a fish swims here", "a fly hums here"]
    found, want = ([f(texts, word)[0] for word in ("cat", "dog")] for f in (ns.bm25, right))
    of = "the score of 'cat', three times in one text of four, as a multiple of that of 'dog', once in it,"
    with np.errstate(all="ignore"):
        expect(np.divide(*found), np.divide(*want), of=of, rtol=1e-9)


@ranking.hidden(
    "a word everywhere",
    "A frequent word should weigh little, but not less than nothing: an idf is never negative here.",
)
def everywhere(ns, rng):  # type: ignore[no-untyped-def]
    texts = ["the cat", "the dog", "the bird"]
    of = "the scores of texts of equal length for a word that stands once in each"
    expect(ns.bm25(texts, "the"), right(texts, "the"), of=of, rtol=1e-9)


@ranking.hidden("long texts", "Which length is divided by which?")
def long(ns, rng):  # type: ignore[no-untyped-def]
    texts = [" ".join(["cat", *rng.choice(list("abcdefgh"), size=n)]) for n in (2, 7, 19, 59)]
    found, want = (np.asarray(f([*texts, *"ijklmn"], "cat"))[:4] for f in (ns.bm25, right))
    of = "the scores of texts of 3, 8, 20 and 60 words that hold a word once, as multiples of the first,"
    with np.errstate(all="ignore"):
        expect(found / found[0], want / want[0], of=of, rtol=1e-9)


@ranking.hidden("several words", "If all else passes: compare with the formula, term by term.")
def several(ns, rng):  # type: ignore[no-untyped-def]
    texts = [" ".join(rng.choice(list("abcdefgh"), size=n)) for n in (3, 8, 20, 60)]
    of = "the scores for two words"
    expect(ns.bm25(texts, "a b"), right(texts, "a b"), of=of, rtol=1e-9, atol=1e-12)


# B.3-c
paper = Exercise(
    "B.3-c", title="Answers on paper", kind="predict", points=4,
    needs=["windows", "loss", "backwards", "fused"],
)  # fmt: skip


@paper.test("windows", "How far does each window go beyond the one before?")
def how_many(ns, rng):  # type: ignore[no-untyped-def]
    slips = {3: "neighbours share tokens", 5: "the last one reaches the end before that"}
    expect_number(ns.windows, 4, "windows", slips, rtol=1e-3)


@paper.hidden("loss", "Two cross-entropies, of uniform distributions.")
def how_much(ns, rng):  # type: ignore[no-untyped-def]
    slips = {2 * math.log(200): "the two are averaged", math.log(200) / 2: "there are two of them"}
    expect_number(ns.loss, math.log(200), "loss", slips, rtol=1e-3)


@paper.hidden("backwards", "They agree in one case of T; what of the others?")
def how_often(ns, rng):  # type: ignore[no-untyped-def]
    expect_number(
        ns.backwards,
        0.4,
        "backwards",
        {0.5: "they can also agree", 0.6: "equal is not before"},
        rtol=1e-3,
    )


@paper.hidden("fused", "Ranks, not scores, and k is added to each.")
def how_high(ns, rng):  # type: ignore[no-untyped-def]
    slips = {
        1 / 3 + 1: "k is added to each rank",
        1 / 62 + 1 / 60: "ranks start from 1",
        1 / 63 + 1 / 60: "the best rank is 1, and is added to 60 as well",
    }
    expect_number(ns.fused, 1 / 63 + 1 / 61, "fused", slips, rtol=1e-3)


# B.3-d
ordering(
    "B.3-d",
    title="No short answer is cut",
    points=2,
    name="proof",
    steps={"C": "", "A": "", "F": "", "E": "AF", "B": "E", "G": "BE"},
    wrong={
        "D": "windows share o tokens, so the next one begins r - o later, not r",
        "H": "an answer of o + 2 tokens may begin just before the next window and end after this one",
    },
    hint="Where does the last window stand that begins at or before the answer? Where does it end?",
)
