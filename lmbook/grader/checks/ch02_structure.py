"""Exercises of section 2.1.1, the structure of a neural network."""

import numpy as np

from lmbook.grader import (
    Exercise,
    avoid,
    expect,
    expect_shape,
    expect_that,
    expect_unchanged,
    ordering,
)

stable_sigmoid = Exercise(
    "2.1.1-a",
    title="A sigmoid that does not overflow",
    kind="implement",
    points=2,
    needs=["sigmoid"],
)


@stable_sigmoid.test("three known values", "Put the numbers into 1 / (1 + exp(-x)) by hand.")
def known_values(ns, rng):
    x = np.array([-np.log(3.0), 0.0, np.log(3.0)])
    expect(ns.sigmoid(x), [0.25, 0.5, 0.75], of="sigmoid([-ln 3, 0, ln 3])")


@stable_sigmoid.test(
    "no overflow far from zero",
    "exp of a large positive number is infinite. Rewrite the formula for negative x such that only "
    "exp(-|x|) occurs.",
)
def far_from_zero(ns, rng):
    x = np.array([-1000.0, -750.0, 750.0, 1000.0])
    with np.errstate(over="raise", invalid="raise"):
        try:
            got = ns.sigmoid(x)
        except FloatingPointError as error:
            expect_that(False, f"sigmoid of values near 1000 meets an {error}")
    expect(got, [0.0, 0.0, 1.0, 1.0], of="sigmoid([-1000, -750, 750, 1000])")


@stable_sigmoid.hidden(
    "small results keep their digits",
    "For x = -40 the result is about 4e-18: 1 - sigmoid(40) has no digit of it left, and so has "
    "clipping x.",
)
def small_results(ns, rng):
    x = -rng.uniform(30.0, 600.0, size=50)
    expect(ns.sigmoid(x), np.exp(x) / (1 + np.exp(x)), of="sigmoid of 50 negative numbers", atol=0)


@stable_sigmoid.hidden(
    "any shape, value by value", "Work on the whole array: no loop, no reshape, no sum."
)
def any_shape(ns, rng):
    shape = tuple(int(n) for n in rng.integers(1, 5, size=3))
    x = rng.normal(scale=3.0, size=shape)
    got = expect_unchanged(ns.sigmoid, x, of="sigmoid")
    expect_shape(got, shape, of=f"sigmoid of an array of shape {shape}")
    expect(got, 1 / (1 + np.exp(-x)), of=f"sigmoid of an array of shape {shape}")


@stable_sigmoid.test("written with NumPy alone", "Only np.exp and arithmetic are needed.")
def from_scratch(ns, rng):
    avoid(ns.sigmoid, "expit", "scipy", "torch", "functional", "F", why="build it from np.exp")


# 2.1.1-b
layer = Exercise(
    "2.1.1-b", title="A layer, square by luck", kind="debug", points=2, needs=["layer"]
)


@layer.test("two neurons by hand", "Which entries of W belong to the first neuron?")
def by_hand(ns, rng):
    got = ns.layer(np.array([[1.0, 2.0]]), np.array([[3.0, 1.0], [-1.0, 1.0]]), np.array([0.5, 1]))
    expect(got, [[5.5, 2.0]], of="layer([[1, 2]], [[3, 1], [-1, 1]], [0.5, 1])")


@layer.hidden("batches and layers that are not square", "Write down the shape of each array.")
def not_square(ns, rng):
    n, inputs, outputs = (int(k) for k in rng.permutation([3, 4, 6]))
    x, w, b = (
        rng.normal(size=(n, inputs)),
        rng.normal(size=(outputs, inputs)),
        rng.normal(size=outputs),
    )
    got = ns.layer(x.copy(), w.copy(), b.copy())
    expect(got, np.maximum(x @ w.T + b, 0), of=f"layer of {n} examples, {inputs} in, {outputs} out")


@layer.hidden("square ones too", "Who has a bias: the example or the neuron?")
def square(ns, rng):
    x, w = rng.normal(size=(2, 4, 4))
    b = rng.normal(size=4)
    got = ns.layer(x.copy(), w.copy(), b.copy())
    expect(got, np.maximum(x @ w.T + b, 0), of="layer of 4 examples, 4 in, 4 out")


# 2.1.1-c
tents = Exercise(
    "2.1.1-c", title="Folding paper", kind="predict", points=1, needs=["pieces", "units"]
)


def _pieces() -> int:
    """Count them: the grid contains every fold."""
    x = np.linspace(0, 1, 2**9 + 1)
    for _ in range(7):
        x = 2 * np.maximum(x, 0) - 4 * np.maximum(x - 0.5, 0)
    return 1 + int(np.count_nonzero(np.abs(np.diff(x, n=2)) > 1e-9))


@tents.test("the pieces", "What does one more fold do to every piece?")
def count_pieces(ns, rng):
    slip = ": seven folds, and each does more than add two" if ns.pieces == 14 else ""
    expect_that(float(ns.pieces) == _pieces(), "pieces is not right" + slip)


@tents.test("the units of one hidden layer", "How many pieces has a network without any hinge?")
def count_units(ns, rng):
    expect_that(float(ns.units) == _pieces() - 1, "units is not right")


# 2.1.1-d
ordering(
    "2.1.1-d",
    title="No neuron computes exclusive or",
    points=2,
    name="proof",
    steps={"E": "", "B": "", "F": "B", "A": "EF", "D": "A"},
    wrong={
        "C": "(0, 0) is no allows any b that is not positive",
        "G": "a negative weight can be outweighed by the bias: w + b may still be positive",
    },
    hint="Say first what the corners demand; then combine the two that say yes.",
)
