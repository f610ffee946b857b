"""Exercises of section 3.1.3, its first half: evaluation and search."""

from lmbook.grader import Exercise, expect_that, ordering
from lmbook.training.search import rungs

# 3.1.3-a
numbers = Exercise(
    "3.1.3-a",
    title="What it costs",
    kind="predict",
    points=2,
    needs=["fits", "lucky", "passes"],
)


@numbers.test("nested folds", "How many fits inside one outer fold, the last one included?")
def of_nested(ns, rng):  # type: ignore[no-untyped-def]
    slip = ": the chosen candidate is fitted once more in each outer fold" if ns.fits == 600 else ""
    expect_that(ns.fits == 5 * (30 * 4 + 1), "fits is not right" + slip)


@numbers.test("random search", "With what probability does one trial miss, and all of them?")
def of_luck(ns, rng):  # type: ignore[no-untyped-def]
    right = 1 - 0.9**20
    slip = ": that is the probability of missing" if abs(float(ns.lucky) - 0.9**20) < 5e-4 else ""
    expect_that(abs(float(ns.lucky) - right) < 5e-4, "lucky is not right" + slip)


@numbers.test("halving", "What does a setting pay that has had a part of its budget already?")
def of_halving(ns, rng):  # type: ignore[no-untyped-def]
    paid, right = 0, 0
    for rung in rungs(64, 1, 64, eta=4):
        right += rung.count * (rung.budget - paid)
        paid = rung.budget
    slip = ": training goes on from where it was" if ns.passes == 64 * 4 else ""
    expect_that(ns.passes == right, "passes is not right" + slip)


# 3.1.3-b
ordering(
    "3.1.3-b",
    title="Expected improvement",
    points=2,
    name="proof",
    steps={"D": "", "F": "D", "A": "DF", "H": "A", "B": "", "E": "", "G": "HBE"},
    wrong={
        "C": "the mean of a maximum is not the maximum of the means; where z is 0 it is larger",
        "I": "check the sign at z = 0: over negative u, u times a density is negative",
    },
    hint="Write f with a standard normal number; say when there is an improvement; integrate.",
)
