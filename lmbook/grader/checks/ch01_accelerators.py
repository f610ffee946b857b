"""Exercises of section 1.3.2, accelerators: rooflines, a systolic array, whole numbers, a footprint."""

import numpy as np

from lmbook import accelerators as acc
from lmbook.grader import Exercise, expect, expect_number, expect_that, ordering
from lmbook.grader.expect import number

# 1.3.2-a
layer = Exercise(
    "1.3.2-a", title="The batch that pays", kind="implement", points=3, needs=["work", "batch_for"]
)


def counted(ns, b, k, n, size):  # type: ignore[no-untyped-def]
    want = acc.matmul(b, k, n, size)
    flops, moved = ns.work(b, k, n, size)
    of = f"of {b} rows, {k} inputs, {n} outputs, {size} bytes a number"
    expect(flops, want.flops, of=f"the FLOP {of}")
    expect(moved, want.bytes, of=f"the bytes {of}")


def smallest(ns, k, n, peak, bandwidth, size):  # type: ignore[no-untyped-def]
    """The learner's batch is the first at or beyond the ridge, by the definition."""
    got = ns.batch_for(k, n, peak, bandwidth, size)
    ridge, of = peak / bandwidth, f"{k} inputs, {n} outputs, ridge {peak / bandwidth:g}"
    limit = 2 * k * n / (size * (k + n))  # of the intensity, for a batch without end
    if ridge >= limit:
        expect_that(got is None, f"{of}: no batch reaches it, and the answer is {got}, not None")
        return
    expect_that(got is not None, f"{of}: some batch reaches it, and the answer is None")
    b = int(number(got, "the batch"))
    expect_that(b == number(got), f"{of}: the batch should be a whole number")
    expect_that(b >= 1, f"{of}: a batch has at least 1 row")
    expect_that(acc.matmul(b, k, n, size).intensity >= ridge, f"{of}: {b} rows do not reach it")
    fewer = b == 1 or acc.matmul(b - 1, k, n, size).intensity < ridge
    expect_that(fewer, f"{of}: {b} rows reach it, and {b - 1} do, too")


@layer.test("one row", "Two FLOP for each weight; three matrices cross the edge.")
def one_row(ns, rng):  # type: ignore[no-untyped-def]
    counted(ns, 1, 4, 3, 2)


@layer.hidden("any layer", "Which of the three matrices grow with the batch? How long is a number?")
def any_layer(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(5):
        b, k, n = (int(v) for v in rng.integers(1, 500, 3))
        counted(ns, b, k, n, int(rng.choice([1, 2, 4])))


@layer.hidden("batch", "Solve 2bkn = ridge x bytes for b, and round so that the ridge is reached.")
def batch(ns, rng):  # type: ignore[no-untyped-def]
    smallest(ns, 4096, 4096, 989e12, 3.35e12, 2)
    for _ in range(6):
        k, n = (int(v) for v in rng.integers(600, 9000, 2))
        smallest(ns, k, n, float(rng.uniform(5, 250)) * 1e12, 1e12, int(rng.choice([1, 2])))


@layer.hidden("out of reach", "As the batch grows, what does the intensity tend to?")
def out_of_reach(ns, rng):  # type: ignore[no-untyped-def]
    smallest(ns, 64, 64, 300e12, 1e12, 2)
    smallest(ns, 4096, 8, 20e12, 1e12, 2)


# 1.3.2-b
grid = Exercise("1.3.2-b", title="Out of step", kind="debug", points=3, needs=["systolic"])


def streamed(ns, rng, m, k, n):  # type: ignore[no-untyped-def]
    a, w = rng.integers(-9, 10, (m, k)), rng.integers(-9, 10, (k, n))
    product, cycles = ns.systolic(a, w)
    expect(product, a @ w, of=f"the product of {m} by {k} and {k} by {n}")
    want = acc.cycles(m, k, n, k, n) - k
    expect_that(cycles == want, f"{m} rows on {k} by {n} cells take {want} cycles, not {cycles}")


@grid.test("one cell", "Nothing to be in step with: what is left in the cell from the row before?")
def one_cell(ns, rng):  # type: ignore[no-untyped-def]
    a, w = rng.integers(1, 10, (4, 1)), rng.integers(1, 10, (1, 1))
    product, _ = ns.systolic(a, w)
    expect_that(
        not np.array_equal(product, np.cumsum(a @ w, axis=0)),
        "each row holds the sums of the rows before it as well: what falls out at the bottom comes back "
        "at the top",
    )
    streamed(ns, rng, 4, 1, 1)


@grid.hidden("one column", "When does row r of the grid get its first activation?")
def one_column(ns, rng):  # type: ignore[no-untyped-def]
    streamed(ns, rng, 5, 4, 1)


@grid.hidden("any grid", "In which cycle does the last sum leave the last column?")
def any_grid(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(4):
        streamed(ns, rng, *(int(v) for v in rng.integers(1, 9, 3)))


# 1.3.2-c
paper = Exercise(
    "1.3.2-c", title="Bounds on paper", kind="predict", points=4,
    needs=["ridge", "share", "cycles", "tonnes"],
)  # fmt: skip


@paper.test("ridge", "Peak over bandwidth.")
def where(ns, rng):  # type: ignore[no-untyped-def]
    expect_number(
        ns.ridge, 100, "ridge", {0.01: "that is bytes a FLOP", 200: "tera cancels tera"}, rtol=0.01
    )


@paper.hidden(
    "share", "Which intensity does the product have, and where does it lie under the roof?"
)
def reached(ns, rng):  # type: ignore[no-untyped-def]
    slips = {1.0: "one FLOP a byte is far left of the ridge", 0.02: "a number has two bytes",
             0.005: "each weight takes part in a multiplication and an addition, two FLOP",
             100: "that is the ridge over the intensity"}  # fmt: skip
    expect_number(ns.share, 0.01, "share", slips, rtol=0.01)


@paper.hidden("cycles", "Load the weights, let the rows stream, wait for the last sum.")
def how_many(ns, rng):  # type: ignore[no-untyped-def]
    slips = {40: "the weights must be loaded first", 26: "the last sum has still to leave",
             57: "the first cycle is counted twice", 58: "the first cycle is counted twice"}  # fmt: skip
    expect_number(ns.cycles, 56, "cycles", slips, rtol=0.01)


@paper.hidden("carbon", "Hours, kilowatts, PUE, grid: mind the thousands.")
def emitted(ns, rng):  # type: ignore[no-untyped-def]
    slips = {108: "the site takes more than its computers", 90: "divided by the PUE; multiply",
             129_600: "that is kilograms", 5.4: "that is one hour a day"}  # fmt: skip
    expect_number(ns.tonnes, 129.6, "tonnes", slips, rtol=0.01)


# 1.3.2-d
whole = Exercise(
    "1.3.2-d", title="Eight bits, and a narrow sum", kind="implement", points=3,
    needs=["whole_product"],
)  # fmt: skip


def compared(ns, x, w, bits, of):  # type: ignore[no-untyped-def]
    (qx, sx), (qw, sw) = acc.quantise(x, axis=1), acc.quantise(w, axis=0)
    sums = acc.multiply_accumulate(qx[:, None], qw.T[None], bits, "saturate")
    expect(ns.whole_product(x, w, bits), sums * (sx * sw), of=of, rtol=1e-9, atol=1e-12)


@whole.test("exact sums", "Round x / scale, with the largest entry of the row at 127.")
def exact_sums(ns, rng):  # type: ignore[no-untyped-def]
    compared(ns, np.array([[127.0, -64.0]]), np.array([[127.0], [2.0]]), 32, "one row, one column")


@whole.hidden("own scales", "How many scales does x have, and how many has w?")
def own_scales(ns, rng):  # type: ignore[no-untyped-def]
    x = rng.normal(size=(5, 12)) * 10.0 ** rng.integers(-3, 4, (5, 1))
    w = rng.normal(size=(12, 4)) * 10.0 ** rng.integers(-3, 4, (1, 4))
    compared(ns, x, w, 32, "rows and columns of different sizes")


@whole.hidden("stops after every product", "Is the sum cut once, or after each product?")
def stops(ns, rng):  # type: ignore[no-untyped-def]
    up = np.concatenate([np.ones(6), -np.ones(3)])[None]
    compared(ns, up, np.ones((9, 1)), 16, "a sum that runs into its end and comes back")
    compared(ns, -up, np.ones((9, 1)), 16, "the same below")
    compared(ns, rng.normal(size=(4, 200)), rng.normal(size=(200, 3)), 15, "random sums, 15 bits")


@whole.hidden("a row of zeros", "What is the scale where the largest entry is 0?")
def zeros(ns, rng):  # type: ignore[no-untyped-def]
    x = rng.normal(size=(3, 6))
    x[1] = 0
    compared(ns, x, rng.normal(size=(6, 2)), 32, "x with a row of zeros")


# 1.3.2-e
ordering(
    "1.3.2-e",
    title="When the last sum leaves",
    points=2,
    name="proof",
    steps={"F": "", "C": "F", "H": "C", "A": "H", "E": "H", "D": "A", "G": "DE"},
    wrong={
        "B": "row r starts r cycles after row 0; else a sum would meet activations of other rows",
        "I": "column c's sum leaves c cycles after column 0's, as its activations arrive later",
    },
    hint="Where is a number when? Then: when is a sum complete, which is last, how many cycles is that?",
)
