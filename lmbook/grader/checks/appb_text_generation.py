"""Exercises of section B.1, text generation: a penalty, whole characters, numbers on paper, beams."""

from itertools import pairwise

import numpy as np

from lmbook.grader import Exercise, expect, expect_number, expect_that

# B.1-a
penalty = Exercise(
    "B.1-a", title="A penalty that rewards", kind="debug", points=3, needs=["penalise"]
)


def penalised(ns, logits, seen, by, of):  # type: ignore[no-untyped-def]
    logits = np.asarray(logits, float)
    kept = logits.copy()
    got = ns.penalise(logits, list(seen), by)
    expect_that(np.array_equal(logits, kept), f"{of}: the logits that were given have been changed")
    want = kept.copy()
    for token in set(seen):
        want[token] = kept[token] * by if kept[token] < 0 else kept[token] / by
    expect(np.asarray(got, float), want, of=f"{of}: the logits")


@penalty.test("one positive logit", "What becomes of a logit of 3 with a penalty of 2?")
def positive(ns, rng):  # type: ignore[no-untyped-def]
    penalised(ns, [3.0, 1.0, -1.0], [0], 2.0, "token 0 has been written once")


@penalty.hidden("negative logits", "Is -2 / 2 less likely than -2, or more?")
def negative(ns, rng):  # type: ignore[no-untyped-def]
    penalised(ns, [3.0, 1.0, -2.0], [2], 2.0, "a token with a logit of -2 has been written")


@penalty.hidden("often the same", "A token counts once, however often it stands there.")
def often(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(4):
        logits = rng.standard_normal(9) * 3
        seen = [int(t) for t in rng.integers(0, 9, 14)]
        penalised(ns, logits, seen, float(rng.uniform(1.1, 2)), "a text with repetitions")


# B.1-b
characters = Exercise(
    "B.1-b", title="Whole characters", kind="implement", points=3, needs=["pieces"]
)


def arrives(ns, text, cuts, of):  # type: ignore[no-untyped-def]
    """Each character comes with the token that brings its last byte."""
    raw = text.encode()
    edges = [0, *sorted(cuts), len(raw)]
    tokens = [raw[a:b] for a, b in pairwise(edges)]
    ends = np.cumsum([len(c.encode()) for c in text])
    want = ["".join(c for c, end in zip(text, ends) if a < end <= b) for a, b in pairwise(edges)]
    got = [str(piece) for piece in ns.pieces(tokens)]
    expect_that(
        len(got) == len(tokens),
        f"{of}: {len(tokens)} tokens need {len(tokens)} pieces, not {len(got)}",
    )
    for i, (have, piece) in enumerate(zip(got, want)):
        expect_that(
            have == piece,
            f"{of}: after token {i} of {tokens} the piece should be {piece!r}, not {have!r}",
        )


@characters.test("plain letters", "A letter of ASCII is one byte, and whole at once.")
def plain(ns, rng):  # type: ignore[no-untyped-def]
    arrives(ns, "a cat", [1, 3], "English")


@characters.hidden("a character in pieces", "What is shown before its last byte has come?")
def split(ns, rng):  # type: ignore[no-untyped-def]
    arrives(ns, "猫", [1, 2], "one character in three tokens")
    arrives(ns, "naïve 🐈", [3, 7, 9], "two characters cut")


@characters.hidden("not later than it can", "A token may end one character and begin the next.")
def early(ns, rng):  # type: ignore[no-untyped-def]
    arrives(ns, "a猫b猫", [2, 6], "tokens that begin with whole characters")
    for _ in range(6):
        text = "".join(rng.choice(list("ab é猫🐈"), 8))
        size = len(text.encode())
        cuts = rng.choice(np.arange(1, size), min(5, size - 1), replace=False)
        arrives(ns, text, [int(c) for c in cuts], "a mixed text")


# B.1-c
paper = Exercise(
    "B.1-c", title="Writing on paper", kind="predict", points=4,
    needs=["megabytes", "positions", "share", "kept"],
)  # fmt: skip


@paper.test("megabytes", "Keys and values, in every layer, as wide as the model.")
def memory(ns, rng):  # type: ignore[no-untyped-def]
    one = 12 * 1024 * 768 * 4 / 1e6
    slips = {one: "keys and values", 2 * one / 12: "every layer has its own",
             2 * one / 4: "a number takes four bytes", 24 * one: "the heads share the width"}  # fmt: skip
    expect_number(ns.megabytes, 2 * one, "megabytes", slips, rtol=0.01)


@paper.hidden(
    "positions", "How many are there when the first new token is chosen, and when the last?"
)
def computed(ns, rng):  # type: ignore[no-untyped-def]
    slips = {127.0: "that is with the cache", 128.0: "that is with the cache",
             12800.0: "the text is not 128 long from the start",
             5050.0: "the prompt is computed anew, too"}  # fmt: skip
    expect_number(ns.positions, float(sum(range(28, 128))), "positions", slips, rtol=0.01)


@paper.hidden("share", "Dividing the logits by T raises the probabilities to the power 1/T.")
def sharpened(ns, rng):  # type: ignore[no-untyped-def]
    p = np.array([0.5, 0.3, 0.2])
    slips = {0.25: "divide by the sum of the powers",
             float(p[0] ** 0.5 / (p**0.5).sum()): "1/T, not T"}  # fmt: skip
    expect_number(ns.share, float(p[0] ** 2 / (p**2).sum()), "share", slips, rtol=0.01)


@paper.hidden("kept", "Add up one half, one quarter, ... until there is enough.")
def nucleus(ns, rng):  # type: ignore[no-untyped-def]
    shares = np.cumsum(0.5 ** np.arange(1, 30))
    want = float(np.argmax(shares >= 0.9) + 1)
    slips = {want - 1: "that is not 90 % yet", want + 1: "one less is enough"}
    expect_number(ns.kept, want, "kept", slips, rtol=0.01)


# B.1-d
search = Exercise("B.1-d", title="Beams on a table", kind="implement", points=4, needs=["beam"])


def table(rng, size):  # type: ignore[no-untyped-def]
    p = rng.dirichlet(np.full(size, 0.7), size)
    return np.log(p)


def beams(log_p, start, steps, width):  # type: ignore[no-untyped-def]
    """The definition: all continuations of all beams, the `width` likeliest of them kept."""
    kept: list[tuple[tuple[int, ...], float]] = [((start,), 0.0)]
    for _ in range(steps):
        grown = [
            ((*text, b), score + float(log_p[text[-1], b]))
            for text, score in kept
            for b in range(len(log_p))
        ]
        kept = sorted(grown, key=lambda pair: -pair[1])[:width]
    return kept[0]


def finds(ns, log_p, start, steps, width, of):  # type: ignore[no-untyped-def]
    given = log_p.copy()
    got = ns.beam(given, start, steps, width)
    expect_that(np.array_equal(given, log_p), f"{of}: the table has been changed")
    expect_that(
        isinstance(got, (tuple, list)) and len(got) == 2,
        f"{of}: beam should return two things, the tokens and their log probability",
    )
    text, score = beams(log_p, start, steps, width)
    expect_that(
        [int(t) for t in got[0]] == list(text),
        f"{of}: the tokens should be {list(text)}, and are {[int(t) for t in got[0]]}",
    )
    expect(float(got[1]), score, of=f"{of}: the log probability")


@search.test("one beam is greedy", "With one beam only the likeliest token goes on.")
def greedy(ns, rng):  # type: ignore[no-untyped-def]
    finds(ns, table(rng, 4), 0, 3, 1, "width 1")


@search.hidden("a worse first step", "Which beginnings are kept, and by what are they compared?")
def two(ns, rng):  # type: ignore[no-untyped-def]
    p = np.array([[0.1, 0.5, 0.4], [0.34, 0.33, 0.33], [0.05, 0.05, 0.9]])
    finds(ns, np.log(p), 0, 2, 2, "a table where the likelier first token leads nowhere")
    for _ in range(12):
        finds(ns, table(rng, 5), int(rng.integers(5)), 5, 2, "a random table, width 2")


@search.hidden("wide enough for all", "With beams for all texts the likeliest is found.")
def wide(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(4):
        log_p = table(rng, 3)
        while beams(log_p, 0, 4, 1)[0] == beams(log_p, 0, 4, 81)[0]:  # where greedy would do
            log_p = table(rng, 3)
        finds(ns, log_p, 0, 4, 81, "a table of three tokens, width 81")
