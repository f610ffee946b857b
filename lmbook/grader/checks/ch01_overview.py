"""Exercises of the page that opens chapter 1: what a model weighs, computes and costs."""

import numpy as np

from lmbook.grader import Exercise, expect, expect_number, expect_that
from lmbook.parallel.planner import Transformer

# 1.0-a
count = Exercise(
    "1.0-a", title="Parameters from shapes", kind="implement", points=2, needs=["gpt_parameters"]
)


def same(ns, layers: int, width: int, vocabulary: int, positions: int) -> None:  # type: ignore[no-untyped-def]
    """The learner's count, to the last one."""
    shape = Transformer(layers, width, 1, vocabulary, positions)
    want = shape.parameters() + 2 * width  # and the last normalisation
    got = ns.gpt_parameters(layers, width, vocabulary, positions)
    expect_that(
        got == want,
        f"layers {layers}, width {width}, vocabulary {vocabulary}, positions {positions}: {got:,}, "
        f"off by {got - want:+,}",
    )


@count.test("no layers", "What is left: two tables and the last normalisation.")
def empty(ns, rng):  # type: ignore[no-untyped-def]
    same(ns, 0, 10, 7, 3)


@count.hidden(
    "one layer", "Each matrix with its bias: (in + 1) out. Two normalisations have 2 h each."
)
def one(ns, rng):  # type: ignore[no-untyped-def]
    same(ns, 1, 8, 5, 2)


@count.hidden("any shape", "Do the tables depend on the number of layers?")
def any_shape(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(5):
        same(ns, *(int(n) for n in rng.integers(1, 300, 4)))


@count.hidden("GPT-2 has 124,439,808", "The output uses the table of the embedding once more.")
def gpt2(ns, rng):  # type: ignore[no-untyped-def]
    got = ns.gpt_parameters(12, 768, 50257, 1024)
    expect_that(got == 124_439_808, f"{got:,}")


# 1.0-b
plan = Exercise(
    "1.0-b",
    title="A run on paper",
    kind="predict",
    points=3,
    needs=["flop", "days", "accelerators"],
)


@plan.test("FLOP", "Six for each parameter and token.")
def flops(ns, rng):  # type: ignore[no-untyped-def]
    slips = {2.8e22: "that is the forward pass", 4.2e9: "tokens come by the trillion"}
    expect_number(ns.flop, 8.4e22, "flop", slips, rtol=0.01)


@plan.hidden("days", "FLOP over what all of them do in a day.")
def how_long(ns, rng):  # type: ignore[no-untyped-def]
    full = 8.4e22 / (256 * 4e14 * 86400)
    slips = {
        full * 0.4: "multiply the peak by the share, do not divide",
        full * 256: "that is one accelerator",
        full / 0.4 * 24: "that is in hours",
        full: "at the peak, which no run reaches",
    }
    expect_number(ns.days, full / 0.4, "days", slips, rtol=0.01)


@plan.hidden("accelerators", "16 bytes a parameter, divided by 40 GB, rounded up.")
def how_many(ns, rng):  # type: ignore[no-untyped-def]
    slips = {
        1: "the weights alone are 14 GB; training keeps more",
        2: "there are 112 GB, and 80 hold no 112",
        2.8: "there is no 0.8 of an accelerator",
    }
    expect_number(ns.accelerators, 3, "accelerators", slips, rtol=0.01)


# 1.0-c
calculator = Exercise(
    "1.0-c", title="Off by a factor", kind="debug", points=2, needs=["training_bytes"]
)


def weigh(ns, parameters: float, optimiser: str) -> None:  # type: ignore[no-untyped-def]
    """Bytes of the state, by the text's account."""
    moments = {"sgd": 0, "momentum": 1, "adam": 2}[optimiser]
    want = parameters * (2 + 2 + 4 + 4 * moments)
    got = ns.training_bytes(parameters, optimiser)
    expect(got, want, rtol=1e-12, of=f"{parameters:,.0f} parameters with {optimiser}, bytes")


@calculator.test("Adam", "2 + 2 + 12: what are the 12?")
def adam(ns, rng):  # type: ignore[no-untyped-def]
    weigh(ns, 1e9, "adam")


@calculator.hidden(
    "other optimisers", "What does each keep for a parameter besides the exact copy?"
)
def others(ns, rng):  # type: ignore[no-untyped-def]
    weigh(ns, 7e9, "sgd")
    weigh(ns, 3e8, "momentum")


@calculator.hidden("any size", "Is every term multiplied by the number of parameters?")
def any_size(ns, rng):  # type: ignore[no-untyped-def]
    for optimiser in ("sgd", "momentum", "adam"):
        weigh(ns, float(rng.integers(1, 10**9)), optimiser)


# 1.0-d
budget = Exercise(
    "1.0-d", title="The model for a budget", kind="implement", points=2, needs=["for_budget"]
)


def spend(ns, flop: float, ratio: float) -> None:  # type: ignore[no-untyped-def]
    """6 N D = flop with D = ratio N."""
    n, d = ns.for_budget(flop, ratio)
    expect(
        n,
        np.sqrt(flop / (6 * ratio)),
        rtol=1e-9,
        of=f"parameters for {flop:.3g} FLOP, {ratio} tokens each",
    )
    expect(d, np.sqrt(flop * ratio / 6), rtol=1e-9, of="tokens")


@budget.test("one token a parameter", "6 N N = C.")
def ratio_one(ns, rng):  # type: ignore[no-untyped-def]
    spend(ns, 6e20, 1.0)


@budget.hidden("twenty tokens a parameter", "Put D = r N into C = 6 N D.")
def ratio_twenty(ns, rng):  # type: ignore[no-untyped-def]
    spend(ns, 5.76e23, 20.0)


@budget.hidden("any budget", "Does four times the budget double both?")
def any_budget(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(5):
        spend(ns, 10 ** rng.uniform(18, 26), rng.uniform(1, 2000))
