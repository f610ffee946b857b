"""Exercises of section 1.2.2, vision models: patches, a residual block, sizes on paper, Grad-CAM."""

import numpy as np

from lmbook.grader import Exercise, expect, expect_number, ordering

# 1.2.2-a
cut = Exercise(
    "1.2.2-a", title="Cut and put together", kind="implement", points=3,
    needs=["patchify", "unpatchify"],
)  # fmt: skip


def squares(images, side):  # type: ignore[no-untyped-def]
    """Patch by patch, by slices: rows of the grid first, then columns."""
    _, _, height, width = images.shape
    found = [
        images[:, :, i : i + side, j : j + side].reshape(len(images), -1)
        for i in range(0, height, side)
        for j in range(0, width, side)
    ]
    return np.stack(found, axis=1)


@cut.test("one image", "Four patches of four pixels: which pixels are in the first?")
def one_image(ns, rng):  # type: ignore[no-untyped-def]
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    expect(ns.patchify(x, 2), squares(x, 2), of="the patches of the numbers 0 to 15")


@cut.hidden("colours", "A patch holds all of one channel, then all of the next.")
def colours(ns, rng):  # type: ignore[no-untyped-def]
    x = rng.normal(size=(2, 3, 6, 6))
    expect(ns.patchify(x, 3), squares(x, 3), of="the patches of images with three channels")


@cut.hidden("wide images", "Height and width need not be equal.")
def wide(ns, rng):  # type: ignore[no-untyped-def]
    x = rng.normal(size=(2, 1, 4, 10))  # one channel: the order of channels is tested above
    expect(ns.patchify(x, 2), squares(x, 2), of="the patches of images 4 high and 10 wide")


@cut.hidden("back again", "Undo the steps in the opposite order.")
def back(ns, rng):  # type: ignore[no-untyped-def]
    for shape, side in (((2, 3, 6, 9), 3), ((1, 2, 8, 4), 2), ((3, 1, 5, 5), 5)):
        x = rng.normal(size=shape)
        got = ns.unpatchify(squares(x, side), side, *shape[1:])
        expect(got, x, of=f"images {shape} from their patches")


# 1.2.2-b
block = Exercise("1.2.2-b", title="A sum gone wrong", kind="debug", points=3, needs=["block"])


def right_block(x, w1, w2, eps=1e-5):  # type: ignore[no-untyped-def]
    def norm(y):  # type: ignore[no-untyped-def]
        return (y - y.mean(axis=0)) / np.sqrt(y.var(axis=0) + eps)

    y = norm(np.maximum(norm(x @ w1), 0) @ w2)
    return np.maximum(x + y, 0)


def compared(ns, rng, rows, width, of, w2_scale=1.0):  # type: ignore[no-untyped-def]
    x = rng.normal(size=(rows, width)) * 2 + rng.normal(size=width)
    w1, w2 = (rng.normal(size=(width, width)) / np.sqrt(width) for _ in range(2))
    w2 = w2 * w2_scale
    expect(ns.block(x, w1, w2), right_block(x, w1, w2), of=of, rtol=1e-6, atol=1e-9)


@block.test("three units", "Which numbers share a mean in batch norm? And may f(x) be negative?")
def three_units(ns, rng):  # type: ignore[no-untyped-def]
    compared(ns, rng, 6, 3, "a block of width 3 on 6 examples")


@block.hidden("f(x) = 0", "With weights of zero f(x) is 0: what should the block then give back?")
def nothing_added(ns, rng):  # type: ignore[no-untyped-def]
    x = rng.normal(size=(5, 4))
    got = ns.block(x, rng.normal(size=(4, 4)), np.zeros((4, 4)))
    expect(got, np.maximum(x, 0), of="a block whose second weights are 0", atol=1e-9)


@block.hidden(
    "any scale",
    "Does the scale of the second weights still matter? If not: what becomes of a negative f(x)?",
)
def any_scale(ns, rng):  # type: ignore[no-untyped-def]
    compared(ns, rng, 30, 8, "a block whose second weights are large", w2_scale=50.0)
    compared(ns, rng, 30, 8, "a block whose second weights are of usual size")


# 1.2.2-c
paper = Exercise(
    "1.2.2-c", title="Sizes on paper", kind="predict", points=4,
    needs=["work", "tokens", "weights", "slope"],
)  # fmt: skip


@paper.test("work", "Which of the three count twice?")
def how_much(ns, rng):  # type: ignore[no-untyped-def]
    slips = {9: "width and side enter by their squares", 13.5: "width has two ends",
             18: "an image has two sides"}  # fmt: skip
    expect_number(ns.work, 27, "work", slips, rtol=1e-3)


@paper.hidden("tokens", "Patches along a side, squared, and what else?")
def how_many(ns, rng):  # type: ignore[no-untyped-def]
    slips = {576: "the class token is one, too", 25: "patches lie in rows and columns",
             24: "patches lie in rows and columns"}  # fmt: skip
    expect_number(ns.tokens, 577, "tokens", slips, rtol=1e-3)


@paper.hidden("weights", "Three convolutions: inputs times outputs times window.")
def bottleneck(ns, rng):  # type: ignore[no-untyped-def]
    slips = {589_824: "that is one full 3 x 3 convolution on 256 channels",
             36_864: "that is the middle one alone",
             69_888: "no biases: norms follow", 70_016: "no biases: norms follow"}  # fmt: skip
    expect_number(ns.weights, 69_632, "weights", slips, rtol=1e-3)


@paper.hidden("slope", "What is the derivative of x + f(x)? And of fifty of them in a row?")
def through(ns, rng):  # type: ignore[no-untyped-def]
    slips = {6: "derivatives of a chain are multiplied, not added", 1.1: "that is one block",
             5: "derivatives of a chain are multiplied",
             0.1**50: "that is f alone; x has a derivative, too"}  # fmt: skip
    expect_number(ns.slope, 1.1**50, "slope", slips, rtol=1e-3)


# 1.2.2-d
look = Exercise(
    "1.2.2-d", title="What speaks for the class", kind="implement", points=3, needs=["cam"]
)


def right_cam(maps, slopes):  # type: ignore[no-untyped-def]
    weights = slopes.mean(axis=(1, 2))
    found = np.maximum(sum(w * m for w, m in zip(weights, maps, strict=True)), 0)
    return found / found.max() if found.max() > 0 else found


@look.test("two maps", "Each map has one weight: the mean of its gradient over all places.")
def two_maps(ns, rng):  # type: ignore[no-untyped-def]
    maps = np.array([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]])
    slopes = np.array([[[4.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [1.0, 1.0]]])
    expect(ns.cam(maps, slopes), right_cam(maps, slopes), of="two maps of one bright place each")


@look.hidden("any maps", "Sum over the maps first: a place counts by its total.")
def any_maps(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(4):
        k, p, q = (int(v) for v in rng.integers(2, 7, 3))
        maps, slopes = rng.normal(size=(k, p, q)), rng.normal(size=(k, p, q))
        maps[0, 0, 0] = 9 * np.sign(slopes[0].mean())  # so that some place speaks for it
        expect(ns.cam(maps, slopes), right_cam(maps, slopes), of=f"{k} maps of {p} by {q}")


@look.hidden("nothing for it", "If no place speaks for the class, all entries are 0.")
def nothing(ns, rng):  # type: ignore[no-untyped-def]
    maps = rng.uniform(0.1, 1, (3, 4, 4))
    expect(ns.cam(maps, -maps), np.zeros((4, 4)), of="maps that all speak against the class")


# 1.2.2-e
ordering(
    "1.2.2-e",
    title="Patches and strides",
    points=2,
    name="proof",
    steps={"F": "", "C": "", "H": "C", "A": "", "D": "AFH", "G": "D"},
    wrong={
        "B": "with stride P windows of width P do not overlap",
        "E": "one and the same matrix serves all patches, so nothing is multiplied by their number",
    },
    hint="What is summed at one place? Which pixels are these? Write the sum as a product of vectors.",
)
