"""Exercises of section 2.1.2, feedforward networks."""

from itertools import pairwise

import numpy as np

from lmbook import functional as F
from lmbook.autograd.creation import tensor
from lmbook.grader import (
    Exercise,
    expect,
    expect_gradient,
    expect_shape,
    expect_that,
    expect_unchanged,
)


def draw(rng, sizes):  # type: ignore[no-untyped-def]
    """Random weights (out, in) and biases of a network with these sizes."""
    weights = [rng.normal(size=(m, n)) for n, m in pairwise(sizes)]
    return weights, [rng.normal(size=m) for m in sizes[1:]]


def logits(x, weights, biases):  # type: ignore[no-untyped-def]
    """The reference: ReLU between the layers and none after the last."""
    for w, b in zip(weights[:-1], biases[:-1]):
        x = np.maximum(x @ w.T + b, 0)
    return x @ weights[-1].T + biases[-1]


# 2.1.2-a
classes = Exercise("2.1.2-a", title="Which class?", kind="implement", points=1, needs=["predict"])


@classes.test("one layer: the row with the largest sum wins", "Is anything bent in a single layer?")
def one_layer(ns, rng):  # type: ignore[no-untyped-def]
    got = ns.predict(np.array([[2.0, -3.0]]), [np.array([[-1.0, 0], [-2, 0]])], [np.zeros(2)])
    expect(got, np.array([0]), of="predict for one layer with negative sums")


@classes.hidden("any depth, any batch", "Which layers are followed by a ReLU?")
def any_depth(ns, rng):  # type: ignore[no-untyped-def]
    for depth in (1, 2, 4):
        weights, biases = draw(rng, rng.integers(3, 9, size=depth + 1))
        x = rng.normal(size=(60, weights[0].shape[1]))
        got = ns.predict(x, weights, biases)
        expect_shape(got, (60,), of="predict of 60 rows")
        expect(got, logits(x, weights, biases).argmax(axis=1), of=f"predict, {depth} layers")


@classes.hidden("the input is left as it was", "Does some line write into X?")
def untouched(ns, rng):  # type: ignore[no-untyped-def]
    weights, biases = draw(rng, [4, 5, 3])
    expect_unchanged(
        lambda x: ns.predict(x, weights, biases), rng.normal(size=(7, 4)), of="predict"
    )


# 2.1.2-b
repair = Exercise(
    "2.1.2-b", title="Two faults in a backward pass", kind="debug", points=2, needs=["backward"]
)


def gradients(x, y, weights, biases):  # type: ignore[no-untyped-def]
    """Of half the squared error, summed over outputs and averaged over rows; by lmbook's autograd."""
    parameters = [tensor(p, requires_grad=True) for p in (*weights, *biases)]
    w1, w2, b1, b2 = parameters
    error = F.linear(F.relu(F.linear(tensor(x), w1, b1)), w2, b2) - tensor(y)
    (0.5 * (error * error).sum() / len(x)).backward()
    return [p.grad.data for p in parameters if p.grad is not None]


def slopes(ns, rng, which, name):  # type: ignore[no-untyped-def]
    weights, biases = draw(rng, [3, 6, 2])
    x, y = rng.normal(size=(9, 3)), rng.normal(size=(9, 2))
    want = gradients(x, y, weights, biases)[which]
    to_weights, to_biases = ns.backward(x, y, weights, biases)
    expect([*to_weights, *to_biases][which], want, of=f"the gradient of {name}")


@repair.hidden(
    "the output layer's weights", "Which of the two gradients is averaged, which is not?"
)
def output_weights(ns, rng):  # type: ignore[no-untyped-def]
    slopes(ns, rng, 1, "weights[1]")


@repair.hidden("the output layer's biases", "A loss that is a mean has gradients that are means.")
def output_biases(ns, rng):  # type: ignore[no-untyped-def]
    slopes(ns, rng, 3, "biases[1]")


@repair.hidden("the hidden layer's weights", "Which units were on, and what says so?")
def hidden_weights(ns, rng):  # type: ignore[no-untyped-def]
    slopes(ns, rng, 0, "weights[0]")


@repair.hidden("the hidden layer's biases", "What reaches a unit that was off?")
def hidden_biases(ns, rng):  # type: ignore[no-untyped-def]
    slopes(ns, rng, 2, "biases[0]")


# 2.1.2-c
SIZES = (100, 50, 20, 5)


def _parameters() -> int:
    return sum(m * n + m for n, m in pairwise(SIZES))


def _multiplications() -> int:
    """Forward m n each; backward m n for the weights, and m n for the layer below but the input."""
    products = [m * n for n, m in pairwise(SIZES)]
    return 3 * sum(products) - products[0]


count = Exercise(
    "2.1.2-c", title="Counting", kind="predict", points=1, needs=["parameters", "multiplications"]
)


@count.test("the numbers it learns", "Weights and biases, layer by layer.")
def learned(ns, rng):  # type: ignore[no-untyped-def]
    right = float(ns.parameters) == _parameters()
    slip = float(ns.parameters) == _parameters() - sum(SIZES[1:])
    expect_that(right, "parameters is not right" + (": the biases are missing" if slip else ""))


@count.test("the multiplications of one training step", "How many products does each layer need?")
def multiplied(ns, rng):  # type: ignore[no-untyped-def]
    products = [m * n for n, m in pairwise(SIZES)]
    got, remark = float(ns.multiplications), ""
    if got == sum(products):
        remark = ": that is the forward pass alone"
    elif got == 3 * sum(products):
        remark = ": nobody asks for the gradient of the input"
    elif got == 2 * sum(products):
        remark = ": a layer's backward pass has two products"
    expect_that(got == _multiplications(), "multiplications is not right" + remark)


# 2.1.2-d
twin = Exercise("2.1.2-d", title="Twins", kind="prove", points=2, needs=["rescale"])


@twin.hidden("the twin computes the same", "relu(c z) is c relu(z) for which c?")
def same(ns, rng):  # type: ignore[no-untyped-def]
    weights, biases = draw(rng, [4, 6, 5, 3])
    for layer in (0, 1):
        w, b = ns.rescale([w.copy() for w in weights], [b.copy() for b in biases], layer)
        x = 3 * rng.normal(size=(40, 4))
        expect(
            logits(x, list(w), list(b)), logits(x, weights, biases),
            of=f"the outputs after rescale(weights, biases, {layer})", rtol=1e-6, atol=1e-6,
        )  # fmt: skip


@twin.hidden("every unit of the layer has other weights", "A twin must not be the same network.")
def different(ns, rng):  # type: ignore[no-untyped-def]
    weights, biases = draw(rng, [4, 6, 5, 3])
    for layer in (0, 1):
        w, _ = ns.rescale([w.copy() for w in weights], [b.copy() for b in biases], layer)
        for i, (new, old) in enumerate(zip(np.asarray(w[layer]), weights[layer])):
            moved = np.abs(new - old).max() > 0.01 * np.abs(old).max()
            expect_that(moved, f"unit {i} of layer {layer} still has its old weights")
            expect_that(
                abs(new @ old) > 0.999 * np.linalg.norm(new) * np.linalg.norm(old),
                f"unit {i} of layer {layer} does not point along its old weights: rescale it",
            )


@twin.hidden("the other layers keep theirs", "Two matrices and one bias change, no more.")
def others(ns, rng):  # type: ignore[no-untyped-def]
    weights, biases = draw(rng, [4, 6, 5, 3])
    w, b = ns.rescale([w.copy() for w in weights], [b.copy() for b in biases], 0)
    expect(w[2], weights[2], of="weights[2] after rescale(weights, biases, 0)")
    expect(b[1], biases[1], of="biases[1] after rescale(weights, biases, 0)")


# 2.1.2-e
binary = Exercise(
    "2.1.2-e", title="Yes or no, from logits", kind="implement", points=2, needs=["binary_loss"]
)


@binary.test("known values", "What is the loss of a logit of 0, whatever the answer?")
def known(ns, rng):  # type: ignore[no-untyped-def]
    loss, slope = ns.binary_loss(np.zeros(4), np.array([0.0, 1, 1, 0]))
    expect(loss, np.log(2), of="the loss of four logits of 0")
    expect(slope, np.array([0.125, -0.125, -0.125, 0.125]), of="its gradient")


@binary.hidden("the loss is a mean over any number of logits", "Start from the formula for one.")
def mean(ns, rng):  # type: ignore[no-untyped-def]
    z, y = 3 * rng.normal(size=11), rng.integers(0, 2, size=11).astype(float)
    p = 1 / (1 + np.exp(-z))
    want = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
    expect(ns.binary_loss(z.copy(), y.copy())[0], want, of="the loss of 11 random logits")


@binary.hidden("the gradient", "The gradient of a mean of n losses carries a factor.")
def slope(ns, rng):  # type: ignore[no-untyped-def]
    z, y = 2 * rng.normal(size=6), rng.integers(0, 2, size=6).astype(float)
    got = ns.binary_loss(z.copy(), y.copy())[1]
    expect_gradient(lambda v: float(ns.binary_loss(v, y)[0]), got, z, of="binary_loss(z, y)")


@binary.hidden("logits of a thousand", "Which exponent is never positive?")
def extreme(ns, rng):  # type: ignore[no-untyped-def]
    z, y = np.array([1000.0, -1000, 1000, -1000]), np.array([1.0, 0, 0, 1])
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        loss, slope = ns.binary_loss(z, y)
    expect(loss, 500.0, of="the loss at z = 1000, -1000, 1000, -1000")
    expect(slope, np.array([0, 0, 0.25, -0.25]), of="its gradient")
