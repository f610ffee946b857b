"""Exercises of section 1.2.4, recommendation: least squares in turn, a fair rank, logs, an identity."""

import numpy as np

from lmbook.grader import Exercise, expect, expect_number, expect_that, ordering
from lmbook.grader.expect import expect_error, expect_unchanged

# 1.2.4-a
half = Exercise("1.2.4-a", title="One side of ALS", kind="implement", points=3, needs=["update"])


def objective(side, q, c, users, items, ratings, weight):  # type: ignore[no-untyped-def]
    """What the update has to make as small as it can be, written out as in the task."""
    guess = (side[users, :-1] * q[items]).sum(axis=1) + side[users, -1] + c[items]
    times = np.bincount(users, minlength=len(side))
    return ((ratings - guess) ** 2).sum() + weight * (times * (side**2).sum(axis=1)).sum()


def drawn(rng, people, films, factors, n, once):  # type: ignore[no-untyped-def]
    pairs = rng.permutation(people * films)[:n]
    users = rng.permutation(people)[:n] if once else pairs // films
    q, c = rng.normal(size=(films, factors)), rng.normal(size=films)
    return q, c, users, pairs % films, rng.normal(size=n)


def lowest(ns, rng, people, films, factors, n, weight, once=False):  # type: ignore[no-untyped-def]
    """The gradient of the objective is zero at the answer: it is quadratic, so that is its minimum.

    With `once` nobody has more than one rating, so that counting them in the penalty changes nothing.
    """
    q, c, users, items, ratings = drawn(rng, people, films, factors, n, once)
    got = expect_unchanged(
        lambda *a: ns.update(*a, weight, people), q, c, users, items, ratings, of="update"
    )
    got = np.asarray(got, float)
    expect_that(
        got.shape == (people, factors + 1),
        f"{people} people need {factors} numbers and a bias each",
    )
    expect_that(np.isfinite(got).all(), "the answer has entries that are no numbers")
    rated = np.bincount(users, minlength=people) > 0
    expect(got[~rated], np.zeros((int((~rated).sum()), factors + 1)), of="people without ratings")
    base = objective(got, q, c, users, items, ratings, weight)
    for column, of in ((range(factors), "a vector"), ((factors,), "a bias")):
        for u in np.flatnonzero(rated):
            for k in column:
                up, down = got.copy(), got.copy()
                up[u, k] += 1e-3
                down[u, k] -= 1e-3
                lower = min(
                    objective(side, q, c, users, items, ratings, weight) for side in (up, down)
                )
                expect_that(
                    lower > base, f"moving {of} of person {u} a little lowers the objective"
                )


@half.test(
    "one person",
    "One ridge regression: what of y is known already, and which column is the bias's?",
)
def one_person(ns, rng):  # type: ignore[no-untyped-def]
    lowest(ns, rng, 1, 8, 2, 1, 0.2, once=True)


@half.hidden("many people", "The penalty counts each person's ratings: is it stronger with many?")
def many_people(ns, rng):  # type: ignore[no-untyped-def]
    lowest(ns, rng, 6, 9, 3, 40, 0.3)
    lowest(ns, rng, 5, 12, 1, 50, 1.5)


@half.hidden("people without ratings", "What does least squares say where there is no data?")
def without(ns, rng):  # type: ignore[no-untyped-def]
    lowest(ns, rng, 30, 5, 2, 12, 0.1, once=True)


# 1.2.4-b
fair = Exercise("1.2.4-b", title="Measured too well", kind="debug", points=3, needs=["hit_rate"])


def by_definition(scores, target, seen, k):  # type: ignore[no-untyped-def]
    chance = []
    for row, t, out in zip(scores, target, seen):
        rest = [s for i, s in enumerate(row) if i != t and not out[i]]
        above, ties = sum(s > row[t] for s in rest), sum(s == row[t] for s in rest)
        chance.append(min(max((k - above) / (ties + 1), 0.0), 1.0))
    return float(np.mean(chance))


def ranked(ns, scores, target, seen, k, of):  # type: ignore[no-untyped-def]
    got = expect_unchanged(lambda *a: ns.hit_rate(*a, k), scores, target, seen, of="hit_rate")
    expect(got, by_definition(scores, target, seen, k), of=of)


@fair.test("no opinion", "All scores are equal. What does chance reach?")
def no_opinion(ns, rng):  # type: ignore[no-untyped-def]
    seen = np.zeros((4, 50), bool)
    ranked(ns, np.zeros((4, 50)), np.arange(4), seen, 10, "HR@10 of equal scores for 50 films")


@fair.hidden("a list of k", "How many films stand on a list of k? Count from 0.")
def list_of_k(ns, rng):  # type: ignore[no-untyped-def]
    scores = np.tile(np.arange(6.0)[::-1], (6, 1))
    for k in (1, 3):
        ranked(
            ns, scores, np.arange(6), np.zeros((6, 6), bool), k, f"HR@{k} of targets in all places"
        )


@fair.hidden("films that were met", "May a film be suggested that the person has met?")
def met(ns, rng):  # type: ignore[no-untyped-def]
    """No ties, and few or many films above the target: neither how ties count nor `<=` matters."""
    scores = rng.permuted(np.tile(np.arange(12.0), (8, 1)), axis=1)
    seen, target = np.zeros((8, 12), bool), np.zeros(8, int)
    ahead = [(1, 4), (0, 5), (1, 6), (0, 8), (5, 2), (6, 3), (5, 5), (1, 3)]
    for row, (above, out) in enumerate(ahead):  # films above the target: not met, and met
        order = np.argsort(-scores[row])
        target[row] = order[above + out]
        seen[row, order[rng.permutation(above + out)[:out]]] = True
    ranked(ns, scores, target, seen, 3, "HR@3 where films above the target were met")


@fair.hidden("all at once", "Passed the others? Then a film that was met may still be a tie.")
def all_at_once(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(4):
        scores, target = rng.integers(0, 6, (8, 12)).astype(float), rng.integers(0, 12, 8)
        seen = rng.random((8, 12)) < 0.5
        seen[np.arange(8), target] = False
        ranked(ns, scores, target, seen, 3, "HR@3 where half of the films were met")


# 1.2.4-c
paper = Exercise(
    "1.2.4-c", title="Counts on paper", kind="predict", points=4,
    needs=["chance", "gain", "products", "parameters"],
)  # fmt: skip


@paper.test("chance", "In how many of the places is it a hit?")
def by_chance(ns, rng):  # type: ignore[no-untyped-def]
    slips = {10 / 99: "the film held out is one of those ranked", 0.01: "ten places count"}
    expect_number(ns.chance, 10 / 100, "chance", slips, rtol=1e-3)


@paper.hidden("NDCG", "The first place has rank 0, and the list ends before rank 10.")
def discounted(ns, rng):  # type: ignore[no-untyped-def]
    beyond, short = 1 / np.log2(12), (1 + 1 / np.log2(3)) / 4
    third = "rank 2, counted from 0, is the third place, and its gain is 1 / log2(4)"
    slips = {
        (1.5 + beyond) / 4: "rank 10 is the eleventh place",
        short + 1 / np.log2(11) / 4: third + "; rank 10 is the eleventh",
        short: third,
        1.5 / 2: "the mean is over all four people, and a lower place counts less",
        2 / 4: "a lower place counts less",
    }
    expect_number(ns.gain, 1.5 / 4, "gain", slips, rtol=1e-3)


@paper.hidden("products", "How many pairs do 30 features make, and how many products has each?")
def pairs(ns, rng):  # type: ignore[no-untyped-def]
    slips = {16 * 30 * 29: "each pair counts once", 16 * 30 * 30: "each pair counts once, none with itself",
             16 * 30: "each of the pairs has a dot product, not each feature",
             16 * 30 * 31 / 2: "a feature makes no pair with itself",
             30 * 29 / 2: "a dot product of 16 numbers has 16 products",
             16 * 31: "that is the rearranged sum"}  # fmt: skip
    expect_number(ns.products, 16 * 30 * 29 / 2, "products", slips, rtol=1e-3)


@paper.hidden("parameters", "Two tables, then layers of weights and biases, then one number.")
def tower(ns, rng):  # type: ignore[no-untyped-def]
    tables, layers = 1500 * 16, 32 * 16 + 16 + 16 * 8 + 8
    slips = {tables + layers: "the last layer, to one number, is missing",
             tables + layers + 8: "the last layer has a bias as well",
             tables + 32 * 16 + 16 * 8 + 8: "layers have biases",
             tables: "that is the two tables alone",
             1500 * 16 + 16 * 16 + 16 + 16 * 8 + 8 + 9: "the two vectors lie side by side"}  # fmt: skip
    expect_number(ns.parameters, tables + layers + 9, "parameters", slips, rtol=1e-6)


# 1.2.4-d
logs = Exercise(
    "1.2.4-d", title="Had it been shown", kind="implement", points=3, needs=["as_if"]
)  # fmt: skip


def shares(rng, n):  # type: ignore[no-untyped-def]
    p = rng.random(n) + 0.05
    return p / p.sum()


@logs.test("the policy that wrote the log", "What is each weight if nothing has changed?")
def same_policy(ns, rng):  # type: ignore[no-untyped-def]
    items, clicked, p = rng.integers(0, 5, 60), rng.random(60) < 0.4, shares(rng, 5)
    plain, normed = ns.as_if(items, clicked, p, p)
    expect(plain, clicked.mean(), of="the estimate with weights of 1")
    expect(normed, clicked.mean(), of="the normalised estimate with weights of 1")


@logs.hidden("no bias", "Which film's clicks count more: one that was shown often, or rarely?")
def no_bias(ns, rng):  # type: ignore[no-untyped-def]
    """Every film occurs exactly as often as its probability says, so the plain estimate is exact."""
    like, shown, policy = rng.random(3), np.array([0.5, 0.25, 0.25]), np.array([0.1, 0.6, 0.3])
    items = np.repeat([0, 1, 2], [200, 100, 100])
    clicked = np.concatenate([np.arange(n) < round(n * p) for n, p in zip((200, 100, 100), like)])
    want = sum(policy[i] * clicked[items == i].mean() for i in range(3))
    plain, _ = ns.as_if(items, clicked, shown, policy)
    expect(plain, want, of="the estimate of a log with exact shares")


@logs.hidden("two estimates", "By what is the sum of the weighted clicks divided in each?")
def two(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(4):
        items, clicked = rng.integers(0, 6, 80), rng.random(80) < 0.3
        shown, policy = shares(rng, 6), shares(rng, 6)
        w = (policy / shown)[items]
        plain, normed = ns.as_if(items, clicked, shown, policy)
        expect(plain, (w * clicked).sum() / 80, of="the estimate")
        expect(normed, (w * clicked).sum() / w.sum(), of="the normalised estimate")


@logs.hidden("never shown", "Can a log speak of a film that it never could have shown?")
def never(ns, rng):  # type: ignore[no-untyped-def]
    items, clicked = np.array([0, 1, 1]), np.array([True, False, True])
    shown, policy = np.array([0.5, 0.5, 0.0]), np.array([0.4, 0.4, 0.2])
    expect_error(
        lambda: ns.as_if(items, clicked, shown, policy), ValueError, of="a film never shown"
    )
    try:
        plain, _ = ns.as_if(items, clicked, shown, np.array([0.9, 0.1, 0.0]))
    except ValueError:
        expect_that(False, "a film never shown does no harm if the policy never shows it either")
    expect(plain, (1.8 + 0.2) / 3, of="the estimate where neither shows film 2")


# 1.2.4-e
ordering(
    "1.2.4-e",
    title="From pairs to sums",
    points=2,
    name="proof",
    steps={"D": "", "A": "D", "F": "A", "B": "A", "H": "FB", "C": "H", "G": "C"},
    wrong={
        "E": "in the square every feature does meet itself: these terms are there, and are taken away",
        "I": "vectors of different features need not be orthogonal: then the model would have no pairs",
    },
    hint="Start from the square of the sum, and say what its terms are before you use them.",
)
