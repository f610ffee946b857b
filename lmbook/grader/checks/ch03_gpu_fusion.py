"""Exercises of section 3.4.3, fusion and bytes."""

import numpy as np

from lmbook.gpu import kernels
from lmbook.gpu.kernels.elementwise import AdamW
from lmbook.grader import Exercise, expect, expect_that, ordering
from lmbook.grader.expect import number
from lmbook.grader.launching import kernel, launched

# 3.4.3-a
joined = Exercise(
    "3.4.3-a", title="Bias, ReLU and residual", kind="implement", points=2, needs=["residual"]
)


def added(ns, rng, rows, cols):  # type: ignore[no-untyped-def]
    x, r = rng.standard_normal((2, rows, cols), np.float32)
    bias, y = rng.standard_normal(cols, np.float32), np.zeros((rows, cols), np.float32)
    args = (x, bias, r, y, rows, cols)
    report = launched(kernel(ns.residual, "residual"), -(-rows * cols // 256), 256, args)
    column = np.minimum(np.arange(rows * cols) // cols, cols - 1).reshape(rows, cols)
    slips = {
        "the largest of 0 and the sum comes before the residual": np.maximum(x + bias + r, 0),
        "a number's column, not its row, chooses its bias": np.maximum(x + bias[column], 0) + r,
        "negative sums pass": x + bias + r,
    }
    for slip, wrong in slips.items():
        expect_that(rows * cols == 1 or not np.allclose(y, wrong, atol=1e-5), f"y: {slip}")
    expect(y, np.maximum(x + bias, 0) + r, of=f"y for {rows} rows and {cols} columns")
    return report


@joined.test("one block", "Which column does thread t have?")
def one_block(ns, rng):  # type: ignore[no-untyped-def]
    added(ns, rng, 4, 64)


@joined.hidden("any matrix", "What do threads do that have no number?")
def any_matrix(ns, rng):  # type: ignore[no-untyped-def]
    for rows, cols in ((1, 1), (33, 45), (100, 7)):
        added(ns, rng, rows, cols)


@joined.hidden(
    "each byte once", "Keep what lies between in a register; neighbours take neighbours."
)
def once(ns, rng):  # type: ignore[no-untyped-def]
    t = added(ns, rng, 64, 96).total
    n = 64 * 96
    expect_that(
        t.load_bytes <= 12 * n and t.store_bytes <= 4 * n,
        f"right, but with {(t.load_bytes + t.store_bytes) / n:.0f} bytes an element; 16 are enough",
    )
    expect_that(
        t.sectors_per_load <= 4.1 and t.sectors_per_store <= 4.1,
        f"right, but with {t.sectors_per_load:.1f} sectors a load; 4 are enough",
    )


# 3.4.3-b
wrong_step = Exercise(
    "3.4.3-b", title="An AdamW gone wrong", kind="debug", points=2, needs=["adamw"]
)


def stepped(ns, rng, n, o, gradient=1.0):  # type: ignore[no-untyped-def]
    p, g, m = rng.standard_normal((3, n), np.float32)
    g, v = (gradient * g).astype(np.float32), rng.random(n, np.float32) * np.float32(gradient**2)
    wanted = kernels.elementwise.adamw_reference(p, g, m, v, o)
    args = (p, g, m, v, n, o.lr, o.beta1, o.beta2, o.eps, o.weight_decay, *o.corrections)
    report = launched(kernel(ns.adamw, "adamw"), -(-n // 256), 256, args)
    for name, got, want in zip("mvp", (m, v, p), (wanted[1], wanted[2], wanted[0])):
        expect(got, want.astype(np.float32), of=name, rtol=1e-4, atol=1e-6)
    return report


@wrong_step.test("no decay", "It was right here: what have you changed?")
def no_decay(ns, rng):  # type: ignore[no-untyped-def]
    stepped(ns, rng, 1024, AdamW(weight_decay=0.0))


@wrong_step.hidden("decay", "AdamW decays the parameter apart from the gradient.")
def decay(ns, rng):  # type: ignore[no-untyped-def]
    stepped(ns, rng, 1024, AdamW(lr=0.01, weight_decay=0.5))


@wrong_step.hidden("small gradients", "Where does epsilon stand: inside the root, or outside?")
def small(ns, rng):  # type: ignore[no-untyped-def]
    stepped(ns, rng, 1024, AdamW(lr=0.01, eps=1e-3, weight_decay=0.0), gradient=1e-3)


@wrong_step.hidden("any number, each sector once", "Which four parameters should a thread take?")
def cheap(ns, rng):  # type: ignore[no-untyped-def]
    for n in (1, 257, 1000):
        stepped(ns, rng, n, AdamW(weight_decay=0.0))
    t = stepped(ns, rng, 4096, AdamW(weight_decay=0.0)).total
    expect_that(
        t.sectors_per_load <= 4.1 and t.sectors_per_store <= 4.1,
        f"right, but with {t.sectors_per_load:.1f} sectors a load; 4 are enough",
    )


# 3.4.3-c
bytes_of = Exercise(
    "3.4.3-c", title="Three counts of bytes", kind="predict", points=2,
    needs=["momentum", "additions", "megabytes"],
)  # fmt: skip


@bytes_of.test("the optimiser", "List the arrays: which are read, which written?")
def of_momentum(ns, rng):  # type: ignore[no-untyped-def]
    got = number(ns.momentum, "`momentum`")
    slip = {
        12: ": an array that changes moves twice",
        16: ": three arrays are read, and two of them written",
        24: ": the gradient is read, and stays as it is",
        28: ": there is one moment, not two",
    }
    expect_that(got == 5 * 4, "momentum is not right" + slip.get(int(got), ""))


@bytes_of.test("the atomics", "Which thread does one addition, and how many numbers has a token?")
def of_additions(ns, rng):  # type: ignore[no-untyped-def]
    got = number(ns.additions, "`additions`")
    slip = ": the table's size plays no part" if got in (50_000 * 64, 50_000) else ""
    tokens = rng.integers(0, 9, 12).astype(np.int32)
    launch = kernels.embedding.plan("embedding1_atomic", tokens, np.ones((12, 64), "f4"), 9)[0][0]
    counted = kernels.embedding.kernel(launch.kernel).simulate(*launch[1:4]).total
    each = counted.atomics // 12  # as many as a token has numbers
    expect_that(got == 2048 * each, "additions is not right" + slip)


@bytes_of.test("the weights", "Add the scale's bytes, shared by the group, to those of a weight.")
def of_weights(ns, rng):  # type: ignore[no-untyped-def]
    got = number(ns.megabytes, "`megabytes`")
    slip = ": the scales are missing" if abs(got - 8) < 1e-6 else ""
    expect_that(abs(got - 16 * (0.5 + 2 / 64)) < 0.01, "megabytes is not right" + slip)


# 3.4.3-d
back = Exercise(
    "3.4.3-d", title="Back to float32", kind="implement", points=3, needs=["dequantise"]
)


def restored(ns, rng, rows, cols):  # type: ignore[no-untyped-def]
    q = rng.integers(-127, 128, (rows, cols)).astype(np.int8)
    groups = -(-cols // 32)
    scale = rng.uniform(0.5, 2, (rows, groups)).astype(np.float32)
    w = np.zeros((rows, cols), np.float32)
    grid = -(-rows * cols // 256)
    args = (q, scale, w, rows, cols)
    report = launched(kernel(ns.dequantise, "dequantise"), grid, 256, args)
    expect(w, q * np.repeat(scale, 32, 1)[:, :cols], of=f"w for {rows} rows, {cols} columns")
    return report


@back.test("whole groups", "Which scale belongs to column c of row r?")
def whole(ns, rng):  # type: ignore[no-untyped-def]
    restored(ns, rng, 8, 64)


@back.hidden("any matrix", "How many scales has a row whose last group is not full?")
def any_width(ns, rng):  # type: ignore[no-untyped-def]
    for rows, cols in ((1, 1), (5, 33), (30, 70)):
        restored(ns, rng, rows, cols)


@back.hidden("each byte once", "Neighbouring threads, neighbouring weights.")
def narrow(ns, rng):  # type: ignore[no-untyped-def]
    t = restored(ns, rng, 64, 128).total
    expect_that(
        t.sectors_per_store <= 4.1 and t.sectors_per_load <= 1.1,
        f"right, but with {t.sectors_per_load:.1f} sectors a load and {t.sectors_per_store:.1f} a "
        "store; 32 weights of a byte are one sector, 32 floats four",
    )


# 3.4.3-e
ordering(
    "3.4.3-e",
    title="A bound for a rounded product",
    points=2,
    name="proof",
    steps={"C": "", "F": "C", "A": "", "E": "FA", "B": "E", "D": "B"},
    wrong={
        "G": "errors add up in the worst case; they cancel only on the average",
        "H": "the nearest multiple is at most half a step away, and may be that far",
    },
    hint="From one weight to one product, to the sum, to what the step is.",
)
