"""Exercises of section 3.2.3, performance of algorithms."""

import numpy as np

from lmbook.grader import Exercise, expect, expect_that, ordering
from lmbook.optim.performance import ert

# 3.2.3-a
running = Exercise(
    "3.2.3-a",
    title="Expected running time",
    kind="implement",
    points=2,
    needs=["running_time"],
)


@running.test("ten runs by hand", "All evaluations, those of failures too, over the successes.")
def by_hand(ns, rng):  # type: ignore[no-untyped-def]
    hits = np.array([300.0] * 4 + [np.inf] * 6)
    expect(float(ns.running_time(hits, np.full(10, 1000.0))), 1800.0, of="running_time(hits, ...)")


@running.hidden("no success", "What does a method cost that never succeeds? No warning, please.")
def never(ns, rng):  # type: ignore[no-untyped-def]
    with np.errstate(all="raise"):
        got = ns.running_time(np.full(3, np.inf), np.full(3, 50.0))
    expect_that(float(got) == np.inf, "three failures must give inf")


@running.hidden("many samples of runs", "Sum over the last axis alone.")
def bootstrap(ns, rng):  # type: ignore[no-untyped-def]
    spent = rng.integers(50, 90, 12).astype(float)
    hits = np.where(rng.random(12) < 0.6, np.floor(spent * 0.7), np.inf)
    hits[0] = 20.0
    drawn = rng.integers(0, 12, (40, 12))
    drawn[:, 0] = 0
    right = ert(hits[drawn][..., None], spent[drawn][..., None])[:, 0]
    expect(ns.running_time(hits[drawn], spent[drawn]), right, of="40 samples of 12 runs")


# 3.2.3-b
flattering = Exercise(
    "3.2.3-b", title="A benchmark that flatters", kind="debug", points=2, needs=["first_hits"]
)


def right_hits(generations, targets):  # type: ignore[no-untyped-def]
    values = np.concatenate(generations)
    found = [np.flatnonzero(values <= t) for t in targets]
    return np.array([f[0] + 1.0 if len(f) else np.inf for f in found])


@flattering.test(
    "what is counted", "A generation of twenty is twenty evaluations, and the last may be the hit."
)
def counted(ns, rng):  # type: ignore[no-untyped-def]
    generations = [np.array([9.0, 8.0, 7.5]), np.array([6.0, 2.5, 3.0]), np.array([1.5, 0.7])]
    expect(ns.first_hits(generations, [7.0, 2.6, 1.0]), [4, 5, 8], of="first_hits")


@flattering.hidden("exactly on the target", "Reached is reached.")
def exact(ns, rng):  # type: ignore[no-untyped-def]
    generations = [np.array([9.0, 7.0]), np.array([4.0, 6.0])]
    expect(ns.first_hits(generations, [7.0, 4.0]), [2, 3], of="first_hits, with values on targets")


@flattering.hidden("never reached", "What did a run that failed need?")
def missed(ns, rng):  # type: ignore[no-untyped-def]
    sizes = rng.integers(2, 6, 8)
    generations = [rng.uniform(1, 10, s) for s in sizes]
    targets = [9.0, 5.0, 2.0, 0.5]
    expect(ns.first_hits(generations, targets), right_hits(generations, targets), of="first_hits")


# 3.2.3-c
numbers = Exercise(
    "3.2.3-c",
    title="Three numbers",
    kind="predict",
    points=2,
    needs=["waiting", "wins", "gigabytes"],
)


@numbers.test("the waiting time", "How many failures come before the first success?")
def of_waiting(ns, rng):  # type: ignore[no-untyped-def]
    slips = {
        4400: ": how many failures come before a success, when one run in four succeeds?",
        1600: ": a run that gives up is paid for too, and costs more than one that succeeds",
        850: ": that is the mean cost of one run, and one run need not succeed",
    }
    slip = slips.get(np.round(float(ns.waiting)), "")
    expect_that(float(ns.waiting) == 400 + 3 * 1000, "waiting is not right" + slip)


@numbers.test("the wins", "Add the chances of 10, 9, 8, ... heads in ten throws, and double.")
def of_wins(ns, rng):  # type: ignore[no-untyped-def]
    slip = ": that is for one side only; either method could be ahead" if ns.wins == 8 else ""
    expect_that(int(ns.wins) == 9, "wins is not right" + slip)


@numbers.test("the matrix", "One number for each pair of coordinates, eight bytes each.")
def of_matrix(ns, rng):  # type: ignore[no-untyped-def]
    slips = {
        40: ": every number takes eight bytes, and the whole matrix is kept, not one triangle",
        75: ": the unit is 10^9 bytes, not 2^30",
    }
    slip = slips.get(np.round(float(ns.gigabytes)), "")
    expect_that(abs(float(ns.gigabytes) - 80) < 0.5, "gigabytes is not right" + slip)


# 3.2.3-d
ordering(
    "3.2.3-d",
    title="What restarts cost",
    points=2,
    name="proof",
    steps={"C": "", "F": "C", "A": "F", "G": "C", "B": "A", "E": "GB"},
    wrong={
        "D": "that is the mean cost of one run, and one run need not succeed",
        "H": "1 / p counts the success too; before it come fewer failures",
    },
    hint="Say what is assumed; count failures; add up their cost; put in the estimate.",
)
