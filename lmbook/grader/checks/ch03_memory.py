"""Exercises of section 3.3.3, memory: recomputation and sharding."""

import itertools

import numpy as np

from lmbook.distributed import blocks, run
from lmbook.grader import Exercise, expect, expect_that, ordering
from lmbook.parallel.planner import Transformer, activation_bytes, state_bytes

# 3.3.3-a
stepping = Exercise(
    "3.3.3-a", title="The step of ZeRO-1", kind="implement", points=3, needs=["zero_step"]
)


def stepped(ns, ranks, n, seed):  # type: ignore[no-untyped-def]
    """One step on simulated ranks: weights of each, sizes of what was updated, bytes."""
    rng = np.random.default_rng(seed)
    weights, gradients = rng.normal(size=n), rng.normal(size=(ranks, n))

    def program(comm):  # type: ignore[no-untyped-def]
        sizes = []

        def update(block, gradient):  # type: ignore[no-untyped-def]
            sizes.append(len(block))
            return block - 0.1 * gradient / (1 + np.abs(block))

        return ns.zero_step(comm, weights.copy(), gradients[comm.rank].copy(), update), sizes

    return weights, gradients, run(program, ranks)


@stepping.test(
    "two ranks", "The mean of both gradients moves each block; both ranks get all blocks."
)
def two(ns, rng):  # type: ignore[no-untyped-def]
    weights, gradients, told = stepped(ns, 2, 10, rng)
    want = weights - 0.1 * (gradients[0] + gradients[1]) / 2 / (1 + np.abs(weights))
    for r, (got, _) in enumerate(told):
        expect(got, want, of=f"zero_step on rank {r}", rtol=0, atol=0)


@stepping.hidden("any number", "Blocks may differ by one entry: `blocks` says where they begin.")
def any_number(ns, rng):  # type: ignore[no-untyped-def]
    for ranks, n in ((3, 11), (4, 9), (1, 5)):
        weights, gradients, told = stepped(ns, ranks, n, rng)
        want = weights - 0.1 * gradients.mean(axis=0) / (1 + np.abs(weights))
        for got, _ in told:
            expect(got, want, of=f"zero_step on {ranks} ranks, {n} weights")


@stepping.hidden("the work", "Each rank updates its own block, once, and nothing else.")
def work(ns, rng):  # type: ignore[no-untyped-def]
    _, _, told = stepped(ns, 4, 22, rng)
    want = np.diff(blocks(22, 4)).tolist()
    for r, (_, sizes) in enumerate(told):
        expect_that(
            sizes == [want[r]], f"rank {r} updated blocks of {sizes} entries, not [{want[r]}]"
        )


@stepping.hidden("the bytes", "Half of an all-reduce before the update, the other half after it.")
def traffic(ns, rng):  # type: ignore[no-untyped-def]
    for ranks, n in ((2, 10), (5, 40)):
        sent = stepped(ns, ranks, n, rng)[2].log.total_bytes
        want = 2 * (ranks - 1) * n * 8
        expect_that(sent == want, f"{sent} bytes sent by {ranks} ranks, where {want} are enough")


# 3.3.3-b
again = Exercise(
    "3.3.3-b", title="The gradient of another network", kind="debug", points=2, needs=["remember"]
)


class Layer:
    """x -> tanh(x) with dropout; counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x, rng):  # type: ignore[no-untyped-def]
        self.calls += 1
        y, mask = np.tanh(x), (rng.random(x.shape) < 0.5) * 2.0
        return y * mask, lambda g: g * mask * (1 - y * y)


def two_layers(ns, x, seed):  # type: ignore[no-untyped-def]
    """Output, gradient and the next random number, with `remember` and without it."""
    layers, rng = [Layer(), Layer()], np.random.default_rng(seed)
    h, first = ns.remember(layers[0], x, rng)
    y, second = ns.remember(layers[1], h, rng)
    before = [layer.calls for layer in layers]
    got = (y, first(second(np.ones_like(y))), rng.random())
    plain, rng = [Layer(), Layer()], np.random.default_rng(seed)
    h, first = plain[0](x, rng)
    y, second = plain[1](h, rng)
    want = (y, first(second(np.ones_like(y))), rng.random())
    return got, want, before, [layer.calls for layer in layers]


@again.test("the gradient", "Which entries did dropout take the first time, and which the second?")
def same_gradient(ns, rng):  # type: ignore[no-untyped-def]
    for seed in rng.integers(0, 1000, 3).tolist():
        got, want, *_ = two_layers(ns, rng.normal(size=(4, 6)), seed)
        expect(got[0], want[0], of="the output of two layers")
        expect(got[1], want[1], of="the gradient of two layers")


@again.hidden("the generator", "After the backward pass it should stand where it stood before.")
def generator(ns, rng):  # type: ignore[no-untyped-def]
    got, want, *_ = two_layers(ns, rng.normal(size=(4, 6)), 5)
    expect_that(
        got[2] == want[2], "the number that is drawn next differs from that without remember"
    )


@again.hidden("the memory", "What the first call returned for going back must not be kept.")
def forgets(ns, rng):  # type: ignore[no-untyped-def]
    _, _, before, after = two_layers(ns, rng.normal(size=(4, 6)), 5)
    expect_that(before == [1, 1], f"the forward passes called the layers {before} times, not once")
    expect_that(after == [2, 2], f"in all the layers were called {after} times, not twice")


# 3.3.3-c
numbers = Exercise(
    "3.3.3-c",
    title="Seventy billion",
    kind="predict",
    points=2,
    needs=["everything", "zero_1", "zero_3", "enough", "sent"],
)


def near(ns, name, want, remarks=()):  # type: ignore[no-untyped-def]
    got = float(getattr(ns, name))
    said = "".join(f": {why}" for slip, why in remarks if abs(got / slip - 1) < 0.005)
    expect_that(abs(got / want - 1) < 0.005, f"`{name}` is not right{said}")


@numbers.test("data parallel", "Five numbers for each parameter; how many bytes have they?")
def all_of_it(ns, rng):  # type: ignore[no-untyped-def]
    near(ns, "everything", state_bytes(70, 64), [(140, "those are the weights alone")])


@numbers.test("ZeRO-1", "Which of the 16 bytes are divided?")
def first_stage(ns, rng):  # type: ignore[no-untyped-def]
    slip = [(state_bytes(70, 64, 2), "gradients are not divided in stage 1")]
    near(ns, "zero_1", state_bytes(70, 64, 1), slip)


@numbers.test("ZeRO-3", "Everything is divided.")
def third_stage(ns, rng):  # type: ignore[no-untyped-def]
    near(ns, "zero_3", state_bytes(70, 64, 3))


@numbers.test("enough ranks", "For which p is 16 / p times 70 GB no more than 40 GB?")
def how_many(ns, rng):  # type: ignore[no-untyped-def]
    expect_that(float(ns.enough) == 28, "`enough` is not right")


@numbers.test("traffic", "Two gathers and a reduce-scatter; each passes on all blocks but one.")
def of_a_rank(ns, rng):  # type: ignore[no-untyped-def]
    slip = [
        (2 * 140 * 63 / 64, "weights are gathered twice"),
        (3 * 140, "your own block stays here"),
    ]
    near(ns, "sent", 3 * 140 * 63 / 64, slip)


# 3.3.3-d
choosing = Exercise(
    "3.3.3-d", title="Within a budget", kind="implement", points=3, needs=["choose"]
)


def chosen(model, ranks, batch, memory):  # type: ignore[no-untyped-def]
    """The least recomputation, then the least stage, then the largest microbatch that fit."""
    share = batch // ranks
    sizes = [b for b in range(share, 0, -1) if share % b == 0]
    for how, stage, b in itertools.product(("none", "selective", "full"), range(4), sizes):
        state = state_bytes(model.parameters(), ranks, stage)
        if state + model.layers * activation_bytes(model, b, recompute=how) <= memory:
            return stage, how, b
    return None


def compare(ns, model, ranks, batch, memory):  # type: ignore[no-untyped-def]
    got, want = ns.choose(model, ranks, batch, memory), chosen(model, ranks, batch, memory)
    got = tuple(got) if isinstance(got, list) else got
    expect_that(
        got == want,
        f"choose for {model.layers} layers of {model.hidden}, {ranks} ranks, {batch} sequences and "
        f"{memory / 1e9:.0f} GB is {got!r}; that does not fit, or something cheaper does",
    )


@choosing.test("GPT-3 of 1.3B", "Count the activations of all layers, and state by `state_bytes`.")
def small(ns, rng):  # type: ignore[no-untyped-def]
    compare(ns, Transformer(24, 2048, 16), 64, 512, 80e9)


@choosing.hidden(
    "many budgets", "Compare recomputation first, then the stage, then the microbatch."
)
def many(ns, rng):  # type: ignore[no-untyped-def]
    models = (Transformer(24, 2048, 16), Transformer(32, 4096, 32), Transformer(40, 5120, 40))
    for model, ranks, memory in itertools.product(models, (8, 64), (24e9, 40e9, 80e9)):
        compare(ns, model, ranks, 12 * ranks, memory)


@choosing.hidden("nothing fits", "Return None.")
def none(ns, rng):  # type: ignore[no-untyped-def]
    compare(ns, Transformer(96, 12288, 96), 8, 8, 80e9)


# 3.3.3-e
ordering(
    "3.3.3-e",
    title="Square roots",
    points=2,
    name="proof",
    steps={"D": "", "A": "", "F": "A", "B": "A", "H": "DFB", "E": "H"},
    wrong={
        "C": "each layer is run forward once more, whatever the number of segments",
        "G": "a derivative of zero is not enough; and between the ends the sum is least there, not largest",
    },
    hint="First what is kept; then a square that is never negative; then the case of a large c.",
)
