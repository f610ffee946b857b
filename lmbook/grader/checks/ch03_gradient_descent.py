"""Exercises of section 3.2.1, gradient descent."""

import numpy as np

from lmbook import optim
from lmbook.autograd.creation import tensor
from lmbook.grader import Exercise, expect, expect_that, ordering

# 3.2.1-a
adamw = Exercise("3.2.1-a", title="AdamW", kind="implement", points=2, needs=["adamw_step"])


def reference(p, gradients, **settings):  # type: ignore[no-untyped-def]
    """Parameter, m and v after these gradients, by lmbook's optimiser."""
    x = tensor(p.copy(), requires_grad=True)
    optimizer = optim.AdamW([x], **settings)
    for g in gradients:
        x.grad = tensor(g.copy())
        optimizer.step()
    state = optimizer.state_dict()["state"][0]
    return x.data, state["exp_avg"], state["exp_avg_sq"]


def theirs(ns, p, gradients, lr, betas, eps, weight_decay):  # type: ignore[no-untyped-def]
    p, m, v = p.copy(), np.zeros_like(p), np.zeros_like(p)
    for step, g in enumerate(gradients, start=1):
        p, m, v = ns.adamw_step(p, g.copy(), m, v, step, lr, betas, eps, weight_decay)
    return p, m, v


@adamw.test("the first step", "After the correction, what is m divided by the root of v?")
def first(ns, rng):  # type: ignore[no-untyped-def]
    settings = {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-12, "weight_decay": 0.0}
    got = theirs(ns, np.array([1.0, 1.0]), [np.array([5.0, -0.001])], **settings)
    expect(got[0], [0.9, 1.1], of="p after one step from 1 with gradients 5 and -0.001")


@adamw.hidden("ten steps", "Which of the means is corrected by which beta, and how often?")
def ten(ns, rng):  # type: ignore[no-untyped-def]
    p, gradients = rng.normal(size=6), rng.normal(size=(10, 6))
    settings = {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.0}
    wanted = reference(p, gradients, **settings)
    for got, want, name in zip(
        theirs(ns, p, gradients, **settings), wanted, ("p", "m", "v"), strict=True
    ):
        expect(got, want, of=f"{name} after ten steps", rtol=1e-8)


@adamw.hidden("weight decay", "It shrinks p itself, and never meets the root of v.")
def decay(ns, rng):  # type: ignore[no-untyped-def]
    p, gradients = rng.normal(size=6), rng.normal(size=(10, 6))
    settings = {"lr": 0.05, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.5}
    got = theirs(ns, p, gradients, **settings)[0]
    expect(got, reference(p, gradients, **settings)[0], of="p with weight decay", rtol=1e-8)


# 3.2.1-b
heavy = Exercise("3.2.1-b", title="It explodes", kind="debug", points=2, needs=["descend"])


@heavy.hidden("one step", "With one step momentum does nothing.")
def one_step(ns, rng):  # type: ignore[no-untyped-def]
    h, w = rng.uniform(0.5, 2, 4), rng.normal(size=4)
    got = ns.descend(lambda w: h * w, w.copy(), 0.1, 0.9, 1)
    expect(got, w - 0.1 * h * w, of="w after one step")


@heavy.hidden("many steps", "Where is the slope taken, and what does the velocity keep of itself?")
def many_steps(ns, rng):  # type: ignore[no-untyped-def]
    h, w = rng.uniform(0.5, 2, 4), rng.normal(size=4)
    x = tensor(w.copy(), requires_grad=True)
    optimizer = optim.SGD([x], lr=0.1, momentum=0.8)
    for _ in range(12):
        x.grad = tensor(h * x.data)
        optimizer.step()
    expect(ns.descend(lambda w: h * w, w.copy(), 0.1, 0.8, 12), x.data, of="w after 12 steps")


@heavy.hidden("the start", "Look at the start again after the call.")
def start(ns, rng):  # type: ignore[no-untyped-def]
    w = rng.normal(size=4)
    kept = w.copy()
    ns.descend(lambda w: 2 * w, w, 0.1, 0.9, 3)
    expect_that(np.array_equal(w, kept), "descend changed the array that it was given")


# 3.2.1-c
numbers = Exercise(
    "3.2.1-c", title="Rates", kind="predict", points=2,
    needs=["limit", "descent", "momentum", "variance"],
)  # fmt: skip


@numbers.test("the limit", "Two over the largest curvature; differentiate f twice.")
def limit(ns, rng):  # type: ignore[no-untyped-def]
    slip = ": curvature is the second derivative" if abs(float(ns.limit) - 0.04) < 1e-9 else ""
    expect_that(abs(float(ns.limit) - 0.02) < 1e-9, "limit is not right" + slip)


@numbers.hidden("the two paces", "First the condition number.")
def paces(ns, rng):  # type: ignore[no-untyped-def]
    expect_that(abs(float(ns.descent) - 12 / 13) < 2e-3, "descent is not right")
    expect_that(abs(float(ns.momentum) - 2 / 3) < 2e-3, "momentum is not right")


@numbers.hidden("the variance", "The mean of m independent numbers.")
def variance(ns, rng):  # type: ignore[no-untyped-def]
    slip = (
        ": that is how the spread falls, not its square"
        if abs(float(ns.variance) - 12) < 1e-9
        else ""
    )
    expect_that(abs(float(ns.variance) - 3) < 1e-9, "variance is not right" + slip)


# 3.2.1-d
ordering(
    "3.2.1-d",
    title="Never uphill",
    points=2,
    name="proof",
    steps={"D": "", "A": "D", "F": "A", "B": "", "E": "FB"},
    wrong={
        "C": "nothing says that f is convex, and the inequality would point the wrong way",
        "G": "a small enough step does, a large one may end on the other side, higher up",
    },
    hint="First the bound, then the step put into it, then the rate.",
)
