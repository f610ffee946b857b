"""Exercises of section 2.2.1, convolutional networks."""

import numpy as np

from lmbook import nn
from lmbook.grader import Exercise, expect, expect_that, expect_unchanged, ordering


def correlate(x, k, stride=1, padding=0):  # type: ignore[no-untyped-def]
    """The reference, by loops over the output."""
    x = np.pad(x, padding)
    rows = (x.shape[0] - k.shape[0]) // stride + 1
    columns = (x.shape[1] - k.shape[1]) // stride + 1
    y = np.empty((rows, columns))
    for i, j in np.ndindex(rows, columns):
        top, left = i * stride, j * stride
        y[i, j] = np.sum(x[top : top + k.shape[0], left : left + k.shape[1]] * k)
    return y


# 2.2.1-a
sliding = Exercise(
    "2.2.1-a", title="A window that slides", kind="implement", points=2, needs=["correlate"]
)


@sliding.test(
    "an impulse gives the kernel, turned", "Where does the bright pixel meet which weight?"
)
def impulse(ns, rng):  # type: ignore[no-untyped-def]
    x = np.zeros((3, 3))
    x[1, 1] = 1
    got = ns.correlate(x, np.array([[1.0, 2], [3, 4]]))
    expect(got, [[4, 3], [2, 1]], of="correlate(one pixel, [[1, 2], [3, 4]])")


@sliding.hidden("kernels that are not square", "Which of the two axes has how many places?")
def oblong(ns, rng):  # type: ignore[no-untyped-def]
    x, k = rng.normal(size=(7, 9)), rng.normal(size=(3, 2))
    got = expect_unchanged(lambda a: ns.correlate(a, k), x, of="correlate")
    expect(got, correlate(x, k), of="correlate of (7, 9) with (3, 2)")


@sliding.hidden("padding", "How many rows of zeros on each side?")
def padding(ns, rng):  # type: ignore[no-untyped-def]
    x, k = rng.normal(size=(5, 6)), rng.normal(size=(3, 3))
    for p in (1, 2):
        got = ns.correlate(x.copy(), k, padding=p)
        expect(got, correlate(x, k, 1, p), of=f"correlate(x, k, padding={p})")


@sliding.hidden("stride", "The formula for the size has a floor in it.")
def stride(ns, rng):  # type: ignore[no-untyped-def]
    x, k = rng.normal(size=(8, 11)), rng.normal(size=(3, 3))
    for s, p in ((2, 0), (3, 1)):
        got = ns.correlate(x.copy(), k, stride=s, padding=p)
        expect(got, correlate(x, k, s, p), of=f"correlate(x, k, stride={s}, padding={p})")


# 2.2.1-b
pool = Exercise(
    "2.2.1-b", title="The largest of a patch", kind="debug", points=2, needs=["max_pool"]
)


@pool.hidden("maps with values of both signs", "Which value does a patch start from?")
def both_signs(ns, rng):  # type: ignore[no-untyped-def]
    x = rng.normal(size=(8, 6)) - 3
    want = x.reshape(4, 2, 3, 2).max(axis=(1, 3))
    expect(ns.max_pool(x.copy(), 2), want, of="max_pool of a map with negative values")


@pool.hidden("pictures, with patches of 3", "Does it look at every value of a patch?")
def positive(ns, rng):  # type: ignore[no-untyped-def]
    x = rng.uniform(size=(9, 6))
    want = x.reshape(3, 3, 2, 3).max(axis=(1, 3))
    expect(ns.max_pool(x.copy(), 3), want, of="max_pool(x, 3)")


@pool.hidden("a rest at the right and the bottom is left out", "The sizes need not divide.")
def rest(ns, rng):  # type: ignore[no-untyped-def]
    x = rng.normal(size=(7, 5))
    want = x[:6, :4].reshape(3, 2, 2, 2).max(axis=(1, 3))
    expect(ns.max_pool(x.copy(), 2), want, of="max_pool of a (7, 5) map, patches of 2")


# 2.2.1-c
stack = Exercise(
    "2.2.1-c", title="A stack of layers", kind="predict", points=2,
    needs=["width", "parameters", "field"],
)  # fmt: skip


def _layers() -> list[nn.Module]:
    return [nn.Conv2d(3, 16, 5, padding=2), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3)]


@stack.test("the size of the last map", "Only one of the three layers keeps it, one halves it.")
def last_map(ns, rng):  # type: ignore[no-untyped-def]
    width = (32 + 4 - 5 + 1) // 2 - 3 + 1
    slip = ": the last convolution has no padding" if ns.width == 16 else ""
    expect_that(float(ns.width) == width, "width is not right" + slip)


@stack.test("the parameters", "Each kernel spans all channels of its input.")
def count(ns, rng):  # type: ignore[no-untyped-def]
    right = sum(p.numel() for layer in _layers() for p in layer.parameters())
    weights = sum(p.numel() for layer in _layers() for p in layer.parameters() if p.ndim > 1)
    slip = ": the biases are missing" if ns.parameters == weights else ""
    expect_that(float(ns.parameters) == right, "parameters is not right" + slip)


@stack.test("the receptive field", "Go backwards from one unit.")
def receptive(ns, rng):  # type: ignore[no-untyped-def]
    field = 1
    for kernel, stride in ((3, 1), (2, 2), (5, 1)):  # from the last layer to the first
        field = (field - 1) * stride + kernel
    expect_that(float(ns.field) == field, "field is not right")


# 2.2.1-d
ordering(
    "2.2.1-d",
    title="Moved in, moved out",
    points=2,
    name="proof",
    steps={"A": "", "E": "A", "C": "E", "D": "C"},
    wrong={
        "B": "the kernel stays where it is: only the row of numbers is shifted",
        "F": "the terms pair other numbers with the same weights, and the sum changes",
    },
    hint="Write out K(Sx) at one place, and bring it to the form of Kx at another.",
)
