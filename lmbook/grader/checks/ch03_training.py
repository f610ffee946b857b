"""Exercises of the page that opens chapter 3: a search without gradients, and honest data."""

import numpy as np

from lmbook.grader import Exercise, expect, expect_that, expect_unchanged, ordering, predict


def strategy(loss, x, sigma, evaluations, rng):  # type: ignore[no-untyped-def]
    """The reference: the best point and its loss after so many evaluations, the start's included."""
    best = loss(x)
    for _ in range(evaluations - 1):
        trial = x + sigma * rng.standard_normal(len(x))
        value = loss(trial)
        sigma *= 1.5 if value < best else 1.5**-0.25
        if value <= best:
            x, best = trial, value
    return x, best


# 3.0-a
search = Exercise(
    "3.0-a",
    title="Search without a gradient",
    kind="implement",
    points=2,
    needs=["one_plus_one"],
)


class Bowl:
    """|x - centre|^2, or that in steps of one; counts how often it was asked."""

    def __init__(self, centre: np.ndarray, steps: bool = False) -> None:
        self.centre, self.steps, self.asked = centre, steps, 0

    def __call__(self, x: np.ndarray) -> float:
        self.asked += 1
        value = float(np.sum((x - self.centre) ** 2))
        return float(np.floor(value)) if self.steps else value


def compare(ns, rng, evaluations: int, steps: bool = False) -> None:  # type: ignore[no-untyped-def]
    """Learner and reference on one bowl, with the same draws."""
    centre, start, seed = rng.normal(size=5), rng.normal(size=5), int(rng.integers(2**31))
    bowl = Bowl(centre, steps)
    x, best = ns.one_plus_one(bowl, start.copy(), 0.5, evaluations, np.random.default_rng(seed))
    want = strategy(Bowl(centre, steps), start, 0.5, evaluations, np.random.default_rng(seed))
    expect_that(bowl.asked == evaluations, f"the loss was asked {bowl.asked} times")
    expect(x, want[0], of=f"the best point after {evaluations} evaluations")
    expect(best, want[1], of="its loss")


@search.test("the start counts as one", "What is the best point after one evaluation?")
def one(ns, rng):  # type: ignore[no-untyped-def]
    bowl = Bowl(np.zeros(2))
    x, best = ns.one_plus_one(bowl, np.array([3.0, 4.0]), 1.0, 1, np.random.default_rng(0))
    expect_that(bowl.asked == 1, f"the loss was asked {bowl.asked} times, not once")
    expect(x, np.array([3.0, 4.0]), of="the point")
    expect(best, 25.0, of="its loss")


@search.hidden("on a bowl", "When does sigma grow, and by how much does it shrink?")
def bowl(ns, rng):  # type: ignore[no-untyped-def]
    for evaluations in (2, 12, 150):
        compare(ns, rng, evaluations)


@search.hidden("where the loss has steps", "What happens when the trial is exactly as good?")
def terraces(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(3):
        compare(ns, rng, 60, steps=True)


@search.hidden("the start is left as it was", "Does some line write into x?")
def untouched(ns, rng):  # type: ignore[no-untyped-def]
    def call(x):  # type: ignore[no-untyped-def]
        return ns.one_plus_one(Bowl(np.zeros(4)), x, 0.3, 30, np.random.default_rng(1))

    expect_unchanged(call, rng.normal(size=4), of="one_plus_one")


# 3.0-b
leaks = Exercise(
    "3.0-b", title="Two leaks in one function", kind="debug", points=2, needs=["prepare"]
)


def table(rng, rows: int = 60, copies: int = 40) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Rows of three numbers, of very different scales, many of them more than once."""
    x = rng.normal(size=(rows, 3)) * np.array([1.0, 10.0, 100.0]) + np.array([0.0, 5.0, 50.0])
    return rng.permutation(np.concatenate([x, x[rng.integers(rows, size=copies)]]))


@leaks.hidden("no row of the test is known", "Copies must go before the rows are divided.")
def known(ns, rng):  # type: ignore[no-untyped-def]
    train, test = (np.asarray(p) for p in ns.prepare(table(rng), 15, np.random.default_rng(0)))
    seen = {tuple(row) for row in train.round(9).tolist()}
    found = sum(tuple(row) in seen for row in test.round(9).tolist())
    expect_that(found == 0, f"{found} rows of the test part stand in the training part too")


@leaks.hidden("every different row is in one part", "How many different rows are there, and where?")
def whole(ns, rng):  # type: ignore[no-untyped-def]
    train, test = (np.asarray(p) for p in ns.prepare(table(rng), 15, np.random.default_rng(0)))
    expect_that(len(test) == 15, f"the test part has {len(test)} rows, not 15")
    expect_that(len(train) == 45, f"the training part has {len(train)} rows, not 45")


@leaks.hidden("the scale comes from the training part", "Which rows may mean and deviation see?")
def scale(ns, rng):  # type: ignore[no-untyped-def]
    train, _ = (np.asarray(p) for p in ns.prepare(table(rng), 15, np.random.default_rng(0)))
    expect(train.mean(axis=0), np.zeros(3), atol=1e-9, of="the mean of the training part")
    expect(train.std(axis=0), np.ones(3), rtol=1e-9, of="its deviation")


@leaks.hidden("one scale for both parts", "Is the test part measured with the same ruler?")
def ruler(ns, rng):  # type: ignore[no-untyped-def]
    x = table(rng)
    train, test = (np.asarray(p) for p in ns.prepare(x, 15, np.random.default_rng(0)))
    for column in range(3):
        # a linear map of each column: sorted values of both parts against those of the table
        got = np.sort(np.concatenate([train[:, column], test[:, column]]))
        want = np.unique(x, axis=0)[:, column]
        want = np.sort(want)
        expect_that(len(got) == len(want), "some different rows are missing")
        spread = (got - got[0]) / (got[-1] - got[0])
        expect(spread, (want - want[0]) / (want[-1] - want[0]), atol=1e-9, of="the rows, rescaled")


# 3.0-c
BEFORE = 0.04


def _largest(scale: float, repeats: int = 1) -> float:
    """The largest stable rate for three inputs whose first rows allow BEFORE, changed as told."""
    x = np.array([[0.2, 0.9, 0.4], [0.7, 0.1, 0.8], [0.5, 0.5, 0.3], [0.9, 0.6, 0.2]])
    x *= np.sqrt(2 / BEFORE / np.linalg.eigvalsh(x.T @ x / len(x))[-1])
    changed = np.tile(scale * x, (repeats, 1))
    return float(2 / np.linalg.eigvalsh(changed.T @ changed / len(changed))[-1])


predict(
    "3.0-c",
    title="A rate for other data",
    points=1,
    name="rate",
    answer=lambda: _largest(10.0, repeats=2),
    hint="Write the curvature down for the new data. What becomes of a mean when every term is doubled?",
    rtol=0.01,
    mistakes={
        "curvature has the inputs in it twice": lambda: BEFORE / 10,
        "the loss is a mean: copies of all rows do not change it": lambda: BEFORE / 200,
        "larger inputs need smaller steps": lambda: BEFORE * 100,
    },
)

# 3.0-d
ordering(
    "3.0-d",
    title="Why the winner disappoints",
    points=2,
    name="proof",
    steps={"D": "", "A": "D", "F": "A", "C": "", "E": "FC"},
    wrong={
        "B": "each score is right on average for a run named beforehand, and W depends on the scores",
        "G": "the difference shrinks with the test set; it does not end where examples outnumber runs",
    },
    hint="One chain bounds the winner's score from below, the other its quality from above.",
)
