"""Exercises of section B.2, image recognition: a folded head, pixels, sizes on paper, temperature."""

import numpy as np

from lmbook.grader import Exercise, expect, expect_number, expect_that
from lmbook.grader.expect import avoid, number

# B.2-a
fold = Exercise("B.2-a", title="One head in place of two steps", kind="implement", points=3,
                needs=["fold"])  # fmt: skip


def drawn_head(rng, features, classes):  # type: ignore[no-untyped-def]
    """A weight, a bias, means and deviations."""
    weight, bias = rng.normal(size=(classes, features)), rng.normal(size=classes)
    return weight, bias, rng.normal(size=features) * 2, rng.uniform(0.5, 4, features)


def folded(ns, given):  # type: ignore[no-untyped-def]
    weight, bias = given[:2]
    w, b = ns.fold(*(a.copy() for a in given))
    expect_that(
        np.shape(w) == weight.shape, f"the weights have shape {np.shape(w)}, not {weight.shape}"
    )
    expect_that(np.shape(b) == bias.shape, f"the biases have shape {np.shape(b)}, not {bias.shape}")
    return np.asarray(w), np.asarray(b)


def scaled(ns, rng, features, classes, of):  # type: ignore[no-untyped-def]
    """Features of mean 0, so that only the deviations matter."""
    weight, bias, mean, std = drawn_head(rng, features, classes)
    x = rng.normal(size=(6, features)) * std
    w, b = folded(ns, (weight, bias, 0 * mean, std))
    expect(x @ w.T + b, x / std @ weight.T + bias, of=of, rtol=1e-7, atol=1e-9)


@fold.test(
    "features of mean 0",
    "Write the logit as a sum over features, and collect what multiplies each.",
)
def two_classes(ns, rng):  # type: ignore[no-untyped-def]
    scaled(ns, rng, 3, 2, "the logits of 6 pictures for 2 classes")


@fold.hidden("as many classes as features", "Which axis of the weights belongs to the features?")
def square(ns, rng):  # type: ignore[no-untyped-def]
    scaled(ns, rng, 4, 4, "the logits for 4 classes from 4 features of mean 0")


@fold.hidden(
    "features of any mean",
    "Put the mean itself in for the features: standardised it is 0, and the logits are the old "
    "biases.",
)
def shifted(ns, rng):  # type: ignore[no-untyped-def]
    weight, bias, mean, std = drawn_head(rng, 64, 5)
    _, b = folded(ns, (weight, bias, mean, std))
    expect(b, bias - weight / std @ mean, of="the new biases", rtol=1e-7, atol=1e-9)


@fold.hidden(
    "what is given stays", "`/=` and the like write into the array that is given; make a new one."
)
def left_alone(ns, rng):  # type: ignore[no-untyped-def]
    given = drawn_head(rng, 3, 2)
    before = [a.copy() for a in given]
    ns.fold(*given)
    for name, a, old in zip(("weight", "bias", "mean", "std"), given, before):
        expect(a, old, of=f"{name}, which was given, afterwards")


# B.2-b
prepare = Exercise("B.2-b", title="A photograph on its way in", kind="debug", points=3,
                   needs=["prepare"])  # fmt: skip


def right_prepare(pixels, mean, std):  # type: ignore[no-untyped-def]
    return np.stack([(pixels[..., c] / 255 - mean[c]) / std[c] for c in range(3)])


def prepared(ns, pixels, mean, std, of):  # type: ignore[no-untyped-def]
    before = pixels.copy()
    got = ns.prepare(pixels, mean, std)
    want = right_prepare(before, mean, std)
    expect_that(np.shape(got) == want.shape, f"{of}: shape {np.shape(got)}, want {want.shape}")
    expect(got, want, of=of, rtol=1e-6, atol=1e-6)
    expect(pixels, before, of="the pixels, which were given, afterwards")


@prepare.test("one colour", "Work it out by hand for one pixel.")
def one_colour(ns, rng):  # type: ignore[no-untyped-def]
    pixels = np.full((2, 2, 3), 51, np.uint8)
    prepared(ns, pixels, np.array([0.5, 0.5, 0.5]), np.array([0.25, 0.25, 0.25]), "a grey picture")


@prepare.hidden(
    "three colours", "Follow one pixel, and one channel, from the picture to the result."
)
def three_colours(ns, rng):  # type: ignore[no-untyped-def]
    pixels = rng.integers(0, 256, (4, 4, 3)).astype(np.uint8)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    prepared(ns, pixels, mean, std, "a picture of 4 by 4 in colour")


@prepare.hidden("wide", "Height and width need not be equal.")
def wide(ns, rng):  # type: ignore[no-untyped-def]
    pixels = rng.integers(0, 256, (3, 7, 3)).astype(np.uint8)
    pixels[1, 1] = 255  # only the order of the axes matters here
    prepared(ns, pixels, np.zeros(3), np.ones(3), "a picture of 3 by 7")


# B.2-c
paper = Exercise(
    "B.2-c", title="On paper", kind="predict", points=4,
    needs=["places", "learn", "constant", "confidence"],
)  # fmt: skip


@paper.test("places", "By what are the sides divided on the way, and how many places is that?")
def how_many_places(ns, rng):  # type: ignore[no-untyped-def]
    expect_number(
        ns.places,
        100,
        "places",
        {10: "places lie in rows and columns", 102_400: "places, not pixels"},
        rtol=1e-3,
    )


@paper.hidden("learn", "A weight for each feature and class, and what else?")
def how_many_learn(ns, rng):  # type: ignore[no-untyped-def]
    slips = {14_336: "every class has a bias, too", 2048 * 7 + 2048: "a bias belongs to a class",
             100 * 2048 * 7 + 7: "the mean over places comes before the head"}  # fmt: skip
    expect_number(ns.learn, 14_343, "learn", slips, rtol=1e-5)


@paper.hidden(
    "constant", "Which class does it say, and how often is that right? A share is at most 1."
)
def always(ns, rng):  # type: ignore[no-untyped-def]
    slips = {0.5: "that is the mean of both classes' recalls", 0.05: "it says the frequent class",
             95: "a share is at most 1", 0: "it finds no defect, but accuracy counts all cells"}  # fmt: skip
    expect_number(ns.constant, 0.95, "constant", slips, rtol=1e-3)


@paper.hidden("confidence", "Divide the difference of the logits, then take the logistic function.")
def softened(ns, rng):  # type: ignore[no-untyped-def]
    slips = {0.9: "that is before the temperature", 0.45: "the logits are divided, not the probability",
             0.9878: "T = 2 makes answers less sure"}  # fmt: skip
    expect_number(ns.confidence, 0.75, "confidence", slips, rtol=2e-3)


# B.2-d
cool = Exercise("B.2-d", title="One number for honest answers", kind="implement", points=4,
                needs=["temperature"])  # fmt: skip


def loss(z, y, t):  # type: ignore[no-untyped-def]
    z = z / t
    top = z.max(axis=1, keepdims=True)
    return float((np.log(np.exp(z - top).sum(axis=1)) + top[:, 0] - z[np.arange(len(y)), y]).mean())


def drawn(rng, n, classes, scale):  # type: ignore[no-untyped-def]
    """Logits `scale` times too large, and labels drawn from the honest ones."""
    z = rng.normal(size=(n, classes)) * 1.5
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    y = (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return scale * z, y


def fitted(ns, z, y, of, perhaps=""):  # type: ignore[no-untyped-def]
    t = number(ns.temperature(z.copy(), y.copy()), "the temperature")
    expect_that(t > 0, f"{of}: the temperature is {t:.3g}, and must be above 0")
    best = min(loss(z, y, u) for u in t * np.linspace(0.9, 1.1, 41))
    expect_that(loss(z, y, t) - best < 1e-4,
                f"{of}: at {t:.3g} the log loss is not the least{perhaps}")  # fmt: skip
    far = min(np.geomspace(0.05, 20, 200), key=lambda u: loss(z, y, u))
    expect_that(loss(z, y, t) - loss(z, y, far) < 1e-3,
                f"{of}: the log loss is lower at another temperature")  # fmt: skip


@cool.test("a search of its own", "Compare with it outside of `temperature`.")
def own_search(ns, rng):  # type: ignore[no-untyped-def]
    avoid(ns.temperature, "fit_temperature", why="write the search yourself")


@cool.test("too sure", "The log loss over T has one valley. Where is it?")
def too_sure(ns, rng):  # type: ignore[no-untyped-def]
    z, y = drawn(rng, 800, 3, 3.0)
    fitted(ns, z, y, "logits three times too large")


@cool.hidden("too timid", "T may be below 1.")
def too_timid(ns, rng):  # type: ignore[no-untyped-def]
    z, y = drawn(rng, 800, 2, 0.3)
    fitted(ns, z, y, "logits that are too small")


@cool.hidden("large logits", "Subtract the largest logit before you take exponentials.")
def large(ns, rng):  # type: ignore[no-untyped-def]
    z, y = drawn(rng, 500, 4, 8.0)
    perhaps = "; a search goes astray where exponentials overflow and the loss is NaN"
    fitted(ns, z + 20_000, y, "logits with 20,000 added to all of them", perhaps)
