"""Exercises of section 3.1.1, data preprocessing."""

from collections import Counter
from itertools import pairwise

from lmbook import data
from lmbook.grader import Exercise, expect, expect_that, ordering

# 3.1.1-a
merge = Exercise(
    "3.1.1-a", title="One merge", kind="implement", points=2, needs=["best_pair", "merge"]
)


def _best(words):  # type: ignore[no-untyped-def]
    """The reference, by counting all."""
    pairs: Counter = Counter()
    for parts, count in words.items():
        for pair in pairwise(parts):
            pairs[pair] += count
    return min(pairs, key=lambda pair: (-pairs[pair], pair))


def _merged(parts, pair):  # type: ignore[no-untyped-def]
    out, i = [], 0
    while i < len(parts):
        if tuple(parts[i : i + 2]) == pair:
            out.append(parts[i] + parts[i + 1])
            i += 2
        else:
            out.append(parts[i])
            i += 1
    return tuple(out)


def _draw(rng):  # type: ignore[no-untyped-def]
    """Words of few letters, so that pairs overlap and tie, with counts."""
    words = {
        tuple(rng.choice(list("abc"), size=rng.integers(1, 9))): int(rng.integers(1, 6))
        for _ in range(12)
    }
    return {tuple(map(str, parts)): n for parts, n in words.items()} | {("a", "b"): 1}


def _same(got, want, of):  # type: ignore[no-untyped-def]
    is_row = isinstance(got, (tuple, list))
    expect_that(is_row and tuple(got) == want, f"{of} should be {want}, and is {got!r}")


@merge.test("low, lower, newer", "A word that stands five times counts five times.")
def by_hand(ns, rng):  # type: ignore[no-untyped-def]
    words = {tuple("low"): 5, tuple("lower"): 2, tuple("newer"): 6}
    _same(ns.best_pair(dict(words)), ("e", "r"), "best_pair")
    _same(ns.merge(tuple("newer"), ("e", "r")), ("n", "e", "w", "er"), "merge of newer")


@merge.hidden("the pair", "Of pairs equally frequent, the first in the alphabet.")
def the_pair(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(60):
        words = _draw(rng)
        _same(ns.best_pair(dict(words)), _best(words), f"best_pair of {len(words)} words")


@merge.hidden("the merge", "What should become of a, a, a when (a, a) is joined?")
def the_merge(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(60):
        words = _draw(rng)
        pair = _best(words)
        for parts in words:
            _same(ns.merge(parts, pair), _merged(parts, pair), f"merge of {'-'.join(parts)}")
    _same(ns.merge(tuple("aaaaa"), ("a", "a")), ("aa", "aa", "a"), "merge of a-a-a-a-a")


# 3.1.1-b
scale = Exercise(
    "3.1.1-b", title="Three faults", kind="debug", points=2, needs=["standardise", "to_range"]
)


def _tables(rng):  # type: ignore[no-untyped-def]
    spread, place = rng.uniform(0.1, 50, size=4), rng.normal(0, 20, size=4)
    return place + spread * rng.normal(size=(30, 4)), 5 + place + 2 * spread * rng.normal(
        size=(9, 4)
    )


@scale.hidden("the test part", "What may be known of the test part when it is scaled?")
def of_test(ns, rng):  # type: ignore[no-untyped-def]
    train, test = _tables(rng)
    got = ns.standardise(train.copy(), test.copy())[1]
    expect(got, data.StandardScaler().fit(train).transform(test), of="the test part")


@scale.hidden("the training part", "Each column by itself.")
def of_train(ns, rng):  # type: ignore[no-untyped-def]
    train, test = _tables(rng)
    got = ns.standardise(train.copy(), test.copy())[0]
    expect(got, data.StandardScaler().fit(train).transform(train), of="the training part")


@scale.hidden("the range", "Where does the smallest value go, and where the largest?")
def of_range(ns, rng):  # type: ignore[no-untyped-def]
    train, _ = _tables(rng)
    low, high = -float(rng.uniform(0.5, 3)), float(rng.uniform(0.5, 3))
    want = data.MinMaxScaler((low, high)).fit(train).transform(train)
    expect(ns.to_range(train.copy(), low, high), want, of=f"to_range(x, {low:.2f}, {high:.2f})")


# 3.1.1-c
bands = Exercise(
    "3.1.1-c", title="Pairs and bands", kind="predict", points=1, needs=["found", "wasted"]
)


@bands.test("similar pairs", "When does a pair share no band at all?")
def similar(ns, rng):  # type: ignore[no-untyped-def]
    want = float(data.collision_probability(0.6, 20, 5))
    slip = ""
    if abs(float(ns.found) - float(data.collision_probability(0.6, 5, 20))) < 5e-4:
        slip = ": bands and rows are exchanged"
    elif abs(float(ns.found) - 0.6**5) < 5e-3:
        slip = ": that is one band"
    expect_that(abs(float(ns.found) - want) <= 5e-4, "found is not right" + slip)


@bands.test("other pairs", "A share of a million.")
def other(ns, rng):  # type: ignore[no-untyped-def]
    want = 1e6 * float(data.collision_probability(0.2, 20, 5))
    slip = ": give the number of pairs" if abs(float(ns.wasted) * 1e6 - want) <= 100 else ""
    expect_that(abs(float(ns.wasted) - want) <= 100, "wasted is not right" + slip)


# 3.1.1-d
ordering(
    "3.1.1-d",
    title="Why the smallest hash",
    points=2,
    name="proof",
    steps={"C": "", "F": "C", "A": "F", "B": "F", "E": "AB"},
    wrong={
        "D": "each member of A comes first in A with probability 1/|A|, but A and B do not "
        "choose independently of one another",
        "G": "equal minima need not be of equal sets: one shared member is enough",
    },
    hint="Look at the union first; then say when the two minima are equal, in both directions.",
)
