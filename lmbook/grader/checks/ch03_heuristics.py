"""Exercises of section 3.2.2, heuristic optimisation."""

import math

import numpy as np

from lmbook.grader import Exercise, expect, expect_that, expect_unchanged, ordering
from lmbook.optim.heuristic.problems import onemax_times

# 3.2.2-a
crossing = Exercise(
    "3.2.2-a", title="A child of two tours", kind="implement", points=2, needs=["cross"]
)


def child(a, b, start, stop):  # type: ignore[no-untyped-def]
    """Order crossover, place by place."""
    n = len(a)
    kept = set(a[start:stop].tolist())
    rest = [city for city in np.roll(b, -stop).tolist() if city not in kept]
    out = a.copy()
    for k, city in enumerate(rest):
        out[(stop + k) % n] = city
    return out


@crossing.test("one by hand", "Keep 2 3 4, and go on behind the slice, in b's order from there.")
def by_hand(ns, rng):  # type: ignore[no-untyped-def]
    a, b = np.arange(8), np.array([3, 7, 5, 1, 6, 0, 2, 4])
    expect(ns.cross(a, b, 2, 5), [1, 6, 2, 3, 4, 0, 7, 5], of="cross(a, b, 2, 5)")


@crossing.hidden("any tours", "What if the slice reaches the end, or is empty?")
def any_tours(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(20):
        n = int(rng.integers(3, 12))
        a, b = rng.permutation(n), rng.permutation(n)
        start, stop = np.sort(rng.integers(0, n + 1, 2)).tolist()
        got = expect_unchanged(
            lambda a=a, b=b, start=start, stop=stop: ns.cross(a, b, start, stop), a, b, of="cross"
        )
        expect(got, child(a, b, start, stop), of=f"cross(a, b, {start}, {stop}) for {n} cities")


# 3.2.2-b
moving = Exercise("3.2.2-b", title="A swarm gone wrong", kind="debug", points=2, needs=["move"])


def moved(x, v, own, best, w, c1, c2, r1, r2):  # type: ignore[no-untyped-def]
    v = w * v + c1 * r1 * (own - x) + c2 * r2 * (best - x)
    return x + v, v


@moving.hidden(
    "the velocity", "Towards which points is a particle drawn, and what does w multiply?"
)
def velocity(ns, rng):  # type: ignore[no-untyped-def]
    x, v, own, best, r1, r2 = rng.random((6, 7, 3))
    got = ns.move(x.copy(), v.copy(), own, best[0], 0.7, 1.4, 1.6, r1, r2)
    expect(got[1], moved(x, v, own, best[0], 0.7, 1.4, 1.6, r1, r2)[1], of="the new v")


@moving.hidden("the place", "Which velocity moves the particle: the old or the new one?")
def place(ns, rng):  # type: ignore[no-untyped-def]
    x, v, own, best, r1, r2 = rng.normal(size=(6, 5, 2))
    got = ns.move(x.copy(), v.copy(), own, best[0], 0.5, 1.2, 0.8, r1, r2)
    expect(got[0], moved(x, v, own, best[0], 0.5, 1.2, 0.8, r1, r2)[0], of="the new x")


# 3.2.2-c
numbers = Exercise(
    "3.2.2-c",
    title="Three numbers",
    kind="predict",
    points=2,
    needs=["winner", "uphill", "last_bit"],
)


@numbers.test("the tournament", "With what probability is the best not drawn at all?")
def of_tournament(ns, rng):  # type: ignore[no-untyped-def]
    slip = ": drawing is with replacement" if abs(ns.winner - 0.3) < 1e-9 else ""
    expect_that(abs(float(ns.winner) - (1 - 0.9**3)) < 5e-4, "winner is not right" + slip)


@numbers.test("the temperature", "Put the rise and the temperature into the formula.")
def of_temperature(ns, rng):  # type: ignore[no-untyped-def]
    slip = ": the sign" if float(ns.uphill) > 1 else ""
    expect_that(abs(float(ns.uphill) - math.exp(-1.5)) < 5e-4, "uphill is not right" + slip)


@numbers.test("the last bit", "One bit must turn, 99 must not; how many children does that take?")
def of_last_bit(ns, rng):  # type: ignore[no-untyped-def]
    right = float(onemax_times(100)[1])
    slip = ": the other 99 bits must stay as they are" if float(ns.last_bit) == 100 else ""
    expect_that(abs(float(ns.last_bit) / right - 1) < 0.01, "last_bit is not within 1 %" + slip)


# 3.2.2-d
ordering(
    "3.2.2-d",
    title="At rest",
    points=2,
    name="proof",
    steps={"C": "", "F": "", "A": "F", "E": "F", "B": "CAE", "G": "B"},
    wrong={
        "D": "uphill is accepted less often; it is the number of visits that makes up for it",
        "H": "at a fixed temperature the walk goes on leaving every minimum",
    },
    hint="Say what is assumed; compute both flows; compare; sum.",
)
