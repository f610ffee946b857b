"""Exercises of section 3.1.2, the training process."""

import math

import numpy as np

from lmbook import functional as F
from lmbook.autograd.creation import tensor
from lmbook.grader import Exercise, expect, expect_that, expect_unchanged, ordering


def _slip(got, wrong, right, rtol=1e-6) -> bool:  # type: ignore[no-untyped-def]
    """Whether an answer is a known wrong one, and not the right one."""
    a = np.asarray(got)
    return (
        a.dtype.kind in "iuf"
        and a.shape == np.shape(wrong)
        and np.allclose(a, wrong, rtol=rtol, atol=1e-9)
        and not np.allclose(a, right, rtol=rtol, atol=1e-9)
    )


# 3.1.2-a
smooth = Exercise(
    "3.1.2-a", title="Smoothed", kind="implement", points=2, needs=["smoothed_cross_entropy"]
)


def _reference(z, y, s):  # type: ignore[no-untyped-def]
    """Loss and gradient, by lmbook's own."""
    logits = tensor(z.copy(), requires_grad=True)
    loss = F.cross_entropy(logits, y, label_smoothing=s)
    loss.backward()
    assert logits.grad is not None
    return loss.item(), logits.grad.data


def _spread_among_the_others(z, y, s):  # type: ignore[no-untyped-def]
    """The loss if only the wrong classes get a share, a usual slip."""
    plain, even = _reference(z, y, 0.0)[0], _reference(z, y, 1.0)[0]
    n = z.shape[1]
    return (1 - s - s / (n - 1)) * plain + s * n / (n - 1) * even


@smooth.test(
    "two classes by hand", "Without smoothing, logits 0 and 0: which probability has each?"
)
def by_hand(ns, rng):  # type: ignore[no-untyped-def]
    loss, slope = ns.smoothed_cross_entropy(np.zeros((1, 2)), np.array([1]), 0.0)
    expect(loss, math.log(2), of="the loss of logits 0, 0")
    expect(slope, [[0.5, -0.5]], of="its gradient")


@smooth.hidden("loss and gradient", "The gradient of a mean over n examples is divided by n, too.")
def random(ns, rng):  # type: ignore[no-untyped-def]
    for s in (0.0, 0.1, 0.5):
        z, y = 3 * rng.normal(size=(7, 5)), rng.integers(0, 5, 7)
        got = ns.smoothed_cross_entropy(z.copy(), y.copy(), s)
        want = _reference(z, y, s)
        expect_that(
            not _slip(got[0], _spread_among_the_others(z, y, s), want[0]),
            f"the loss with smoothing {s} spreads the share among the wrong classes only; the true "
            "class is one of those that share it",
        )
        expect(got[0], want[0], of=f"the loss with smoothing {s}")
        expect_that(
            not _slip(got[1], len(z) * want[1], want[1]),
            f"the gradient with smoothing {s} is that of the sum over the {len(z)} examples; the "
            "loss is their mean",
        )
        expect(got[1], want[1], of=f"the gradient with smoothing {s}", atol=1e-10)


@smooth.hidden("large logits", "Take something off all logits of a row before the exponential.")
def large(ns, rng):  # type: ignore[no-untyped-def]
    z, y = 1000 + 50 * rng.normal(size=(4, 3)), rng.integers(0, 3, 4)
    with np.errstate(all="ignore"):
        got = ns.smoothed_cross_entropy(z.copy(), y.copy(), 0.1)
    want = _reference(z, y, 0.1)
    expect(got[0], want[0], of="the loss of logits near 1000")
    expect(got[1], want[1], of="the gradient of logits near 1000", atol=1e-10)


@smooth.hidden("the caller's array", "Is the array of logits the same after the call?")
def untouched(ns, rng):  # type: ignore[no-untyped-def]
    z, y = rng.normal(size=(4, 3)), rng.integers(0, 3, 4)
    expect_unchanged(
        lambda z, y: ns.smoothed_cross_entropy(z, y, 0.1), z, y, of="smoothed_cross_entropy"
    )


# 3.1.2-b
half = Exercise("3.1.2-b", title="Lost in halves", kind="debug", points=2, needs=["descend"])


def _square(w, batch, scale):  # type: ignore[no-untyped-def]
    """float16 gradient of scale times the mean of (w - b)^2 / 2, as a layer in float16 gives it."""
    with np.errstate(over="ignore", invalid="ignore"):
        slope = (w.astype(np.float32) - batch.mean(axis=0)) * np.float32(scale)
        return slope.astype(np.float16)


def _descend(w, gradient, batches, lr, accumulate, scale):  # type: ignore[no-untyped-def]
    total = np.zeros_like(w)
    for i, batch in enumerate(batches, 1):
        g = gradient(w.astype(np.float16), batch, scale).astype(np.float32)
        total = total + g / np.float32(scale * accumulate)
        if i % accumulate == 0:
            if np.isfinite(total).all():
                w = w - np.float32(lr) * total
            total = np.zeros_like(w)
    return w


def _compare(ns, w, gradient, batches, lr, accumulate, scale, of, slips=()):  # type: ignore[no-untyped-def]
    """Compare with what is right; `slips` are pairs of a wrong result and its cause."""
    with np.errstate(all="ignore"):
        got = ns.descend(w.copy(), gradient, batches, lr, accumulate, scale)
    want = _descend(w, gradient, batches, lr, accumulate, scale)
    for wrong, cause in slips:
        expect_that(not _slip(got, wrong, want, rtol=1e-3), f"{of}: {cause}")
    expect(np.asarray(got, np.float64), want.astype(np.float64), of=of, rtol=1e-4, atol=1e-6)


@half.hidden("parts of a batch", "What is the gradient of the mean over four equal parts?")
def parts(ns, rng):  # type: ignore[no-untyped-def]
    w = rng.normal(size=4).astype(np.float32)
    batches = list(rng.normal(size=(12, 5, 4)).astype(np.float32))
    summed = _descend(w, _square, batches, 4 * 0.25, 4, 8.0)  # a rate four times as large
    _compare(
        ns, w, _square, batches, 0.25, 4, 8.0, "w after three steps of four parts each",
        [(summed, "each step is four times too long, the sum of the four means, not their mean")],
    )  # fmt: skip


@half.hidden("small steps", "How far apart are the numbers of float16 near 1?")
def small_steps(ns, rng):  # type: ignore[no-untyped-def]
    w = np.ones(3, np.float32)
    batches = [np.zeros((2, 3), np.float32)] * 200
    _compare(
        ns, w, _square, batches, 1e-4, 1, 4.0, "w after 200 steps of 0.0001 and less from 1",
        [(w, "it is still 1, every step was rounded away; in which format are the weights kept?")],
    )  # fmt: skip


@half.hidden("small gradients", "In which format is the gradient divided by the scale?")
def small_gradients(ns, rng):  # type: ignore[no-untyped-def]
    def tiny(w, batch, scale):  # type: ignore[no-untyped-def]
        return (np.full(3, 2.0**-26) * scale).astype(np.float16)

    batches = [np.zeros((2, 3), np.float32)] * 4
    _compare(
        ns, np.zeros(3, np.float32), tiny, batches, 2.0**20, 1, 2.0**12,
        "w, where gradients are below what float16 holds",
        [(np.zeros(3), "it never moved; the gradients became 0 once they were divided by the scale")],
    )  # fmt: skip


@half.hidden(
    "an infinite gradient", "After a step that is left out, with which sum does the next begin?"
)
def infinite(ns, rng):  # type: ignore[no-untyped-def]
    w = rng.normal(size=4).astype(np.float32)
    batches = list(rng.normal(size=(8, 5, 4)).astype(np.float32))
    batches[2] = np.full((5, 4), 1e6, np.float32)
    once = _descend(w, _square, batches[:2], 0.25, 2, 8.0)
    _compare(
        ns, w, _square, batches, 0.25, 2, 8.0, "w, where one gradient of eight is infinite",
        [(once, "after the step that was left out no other was taken; what is left in the sum?")],
    )  # fmt: skip


# 3.1.2-c
numbers = Exercise(
    "3.1.2-c", title="Four figures", kind="predict", points=2,
    needs=["growth", "spacing", "interval", "precision"],
)  # fmt: skip


@numbers.test("the layers", "Which factor has one layer's mean square?")
def layers(ns, rng):  # type: ignore[no-untyped-def]
    got = float(ns.growth)
    slip = ""
    if abs(got - 1024) < 1e-6:
        slip = ": that is the mean square; its root is asked for"
    elif 24 <= got <= 28:  # about 32 times the root of 1 - 1/pi, or a run's figure for it
        slip = ": that is the deviation about the mean; a root mean square has the mean in it, too"
    expect_that(abs(got - 32) < 0.5, "growth is not right" + slip)


@numbers.hidden("the spacing", "How many bits follow the leading one, and what do they count at 2?")
def gap(ns, rng):  # type: ignore[no-untyped-def]
    slip = ": that is the spacing at 1" if abs(float(ns.spacing) - 2.0**-7) < 1e-9 else ""
    expect_that(abs(float(ns.spacing) - 2.0**-6) < 1e-9, "spacing is not right" + slip)


@numbers.hidden("the interval", "Both times in minutes first.")
def young(ns, rng):  # type: ignore[no-untyped-def]
    got = float(ns.interval)
    slip = ": that is with hours under the root; a failure comes every 360 minutes"
    expect_that(
        abs(got - math.sqrt(2 * 3 * 360)) < 0.5,
        "interval is not right" + (slip if abs(got - math.sqrt(2 * 3 * 6)) < 0.5 else ""),
    )


@numbers.hidden("the precision", "Of 10,000 people, how many are ill, how many are called ill?")
def rare(ns, rng):  # type: ignore[no-untyped-def]
    slip = ": that is the recall" if abs(float(ns.precision) - 0.9) < 1e-3 else ""
    expect_that(abs(float(ns.precision) - 90 / 585) < 1e-3, "precision is not right" + slip)


# 3.1.2-d
ordering(
    "3.1.2-d",
    title="Half the square",
    points=2,
    name="proof",
    steps={"C": "", "A": "C", "F": "", "D": "F", "B": "AD"},
    wrong={
        "E": "the inputs are results of a ReLU, none negative, so their products have no mean of 0",
        "G": "half of the square remains, not half of the deviation",
    },
    hint="First the weighted sum, then what the ReLU keeps of it.",
)
