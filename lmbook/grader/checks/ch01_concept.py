"""Exercises of section 1.1: how fast models grew, what a mixture costs, and fits beyond the data."""

import numpy as np

from lmbook.grader import Exercise, expect, expect_number, expect_that

# 1.1-a
double = Exercise(
    "1.1-a", title="Months to double", kind="implement", points=3, needs=["months_to_double"]
)


def grows(  # type: ignore[no-untyped-def]
    ns, rng, months: float, noise: float = 0.0, n: int = 12, base: bool = False
) -> None:
    """Values that double every so many months, with noise in their logarithms, against a line's slope.

    Another base of the logarithm is an error where `base` is judged, and admitted elsewhere.
    """
    years = np.sort(rng.uniform(2000, 2025, n))
    values = 5e6 * 2.0 ** (12 / months * (years - 2000) + noise * rng.normal(size=n))
    t = years - years.mean()
    want = 12 / (t @ np.log2(values) / (t @ t))
    got = ns.months_to_double(years, values)
    for name, factor in (("e", np.e), ("10", 10.0)):
        if isinstance(got, float) and abs(got / (want * np.log2(factor)) - 1) < 1e-6:
            remark = f"{got:.4g} months are those to grow by a factor of {name}, not of 2"
            expect_that(not base, remark)
            return
    expect(got, want, rtol=1e-6, of="the months in which the fitted line doubles")


@double.test("doubling every year", "Fit a line to the logarithms to base 2, not to the values.")
def every_year(ns, rng):  # type: ignore[no-untyped-def]
    grows(ns, rng, 12.0, base=True)


@double.hidden("any pace", "The slope is doublings a year; what is asked are months a doubling.")
def any_pace(ns, rng):  # type: ignore[no-untyped-def]
    for months in (3.0, 7.0, 40.0):
        grows(ns, rng, months)


@double.hidden("with noise", "All the points count, not only the first and the last.")
def noisy(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(3):
        grows(ns, rng, rng.uniform(5, 15), noise=1.5, n=30)


@double.hidden("what shrinks", "Values that halve double in a negative number of months.")
def shrinking(ns, rng):  # type: ignore[no-untyped-def]
    grows(ns, rng, -24.0)


# 1.1-b
mixture = Exercise(
    "1.1-b", title="A mixture's run", kind="predict", points=3, needs=["flop", "hours", "state"]
)


@mixture.test("FLOP", "Which parameters work on a token?")
def work(ns, rng):  # type: ignore[no-untyped-def]
    slips = {2.4e25: "that counts experts that do nothing", 4e23: "that is the forward pass"}
    expect_number(ns.flop, 1.2e24, "flop", slips, rtol=0.01)


@mixture.hidden(
    "hours", "FLOP over what one accelerator does in an hour, at its share of the peak."
)
def time(ns, rng):  # type: ignore[no-untyped-def]
    full = 1.2e24 / (1e15 * 3600)
    slips = {
        full: "at the peak, which no run reaches",
        full * 0.4: "divide by the share, do not multiply",
        full / 0.4 / 1000: "accelerator-hours do not depend on how many there are",
        full / 0.4 * 20: "that counts experts that do nothing",
        full / 0.4 * 3600: "that is in seconds",
        full * 20: "that is at the peak, and counts experts that do nothing",
        full / 1000: "that is at the peak, and divided by the number of accelerators",
        full / 0.4 * 20 / 1000: "that counts experts that do nothing, and accelerator-hours do not "
        "depend on how many accelerators there are",
    }
    expect_number(ns.hours, full / 0.4, "hours", slips, rtol=0.01)


@mixture.hidden("state", "Who needs memory: the experts at work, or all?")
def memory(ns, rng):  # type: ignore[no-untyped-def]
    slips = {
        320: "the experts at rest are trained, too, and must be kept",
        800: "that is the weights alone",
        6.4e12: "in GB, please",
    }
    expect_number(ns.state, 6400, "state", slips, rtol=0.01)


# 1.1-c
price = Exercise("1.1-c", title="A bill too high", kind="debug", points=2, needs=["bill"])


def owed(ns, rng, part: int) -> None:  # type: ignore[no-untyped-def]
    """Days, dollars or MWh of a run on one accelerator, of two on many, and of four that are drawn."""
    runs = [(1e9, 2e10, 1, 1e15, 0.4, 2.0)]
    runs += [(7e9, 2e12, count, 989.4e12, 0.35, 3.0) for count in (8, 1024)]
    for _ in range(4):
        n, d = 10 ** rng.uniform(8, 12), 10 ** rng.uniform(9, 13)
        count, share, rent = int(rng.integers(2, 5000)), rng.uniform(0.1, 0.6), rng.uniform(1, 9)
        runs.append((n, d, count, 3e14, share, rent))
    for active, tokens, count, peak, share, rent in runs:
        days = 6 * active * tokens / (count * peak * share) / 86400
        hours = count * days * 24
        want = (days, hours * rent, hours * 700 / 1e6)[part]
        got = ns.bill(active, tokens, count, peak, share, rent, 700.0)
        expect_that(isinstance(got, (tuple, list)) and len(got) == 3, "bill returns three numbers")
        run = f"{active:.3g} parameters, {tokens:.3g} tokens, accelerators: {count}"
        slips = {
            "kilowatts are not watts, nor megawatts: a MWh is a million Wh": want * 1e3,
            "that is the energy of one accelerator of them all": want / count,
        }
        for remark, slip in slips.items():
            same = part == 2 and slip != want and abs(got[part] / slip - 1) < 1e-6
            expect_that(not same, f"MWh ({run}): {remark}")
        expect(got[part], want, rtol=1e-9, of=f"{('days', 'dollars', 'MWh')[part]} ({run})")


@price.test("days", "Does a lower share of the peak make the run longer?")
def how_long(ns, rng):  # type: ignore[no-untyped-def]
    owed(ns, rng, 0)


@price.hidden("dollars", "Rent is paid for each accelerator and each of its hours, once.")
def rented(ns, rng):  # type: ignore[no-untyped-def]
    owed(ns, rng, 1)


@price.hidden("energy", "Whose hours are these, and how many Wh are a MWh?")
def drawn(ns, rng):  # type: ignore[no-untyped-def]
    owed(ns, rng, 2)


# 1.1-d
norm = Exercise(
    "1.1-d", title="The smallest of all fits", kind="implement", points=3, needs=["smallest_fit"]
)


def fits(ns, A: np.ndarray, y: np.ndarray, ridge: float) -> None:  # type: ignore[no-untyped-def]
    """Against the pseudo-inverse, or the normal equations with a ridge."""
    n, p = A.shape
    want = (
        np.linalg.pinv(A) @ y
        if not ridge
        else np.linalg.solve(A.T @ A + ridge * np.eye(p), A.T @ y)
    )
    got = ns.smallest_fit(A, y, ridge)
    expect(got, want, rtol=1e-5, atol=1e-7, of=f"weights for A {n} x {p}, ridge {ridge:g}")


@norm.test("more examples than weights", "There it is least squares.")
def tall(ns, rng):  # type: ignore[no-untyped-def]
    fits(ns, rng.normal(size=(30, 4)), rng.normal(size=30), 0.0)


@norm.hidden("more weights than examples", "Of all fits without error, the one of least norm.")
def wide(ns, rng):  # type: ignore[no-untyped-def]
    fits(ns, rng.normal(size=(5, 40)), rng.normal(size=5), 0.0)


@norm.hidden("with a ridge", "s / (s^2 + ridge), in place of 1 / s.")
def ridged(ns, rng):  # type: ignore[no-untyped-def]
    for shape in ((30, 4), (5, 40), (10, 10)):
        fits(ns, rng.normal(size=shape), rng.normal(size=shape[0]), 0.7)


@norm.hidden("columns that repeat", "A singular value of 0 must not be divided by.")
def repeated(ns, rng):  # type: ignore[no-untyped-def]
    A = rng.normal(size=(20, 3))
    fits(ns, np.hstack([A, A]), rng.normal(size=20), 0.0)
