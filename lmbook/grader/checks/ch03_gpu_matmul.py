"""Exercises of section 3.4.4, matrix products."""

import numpy as np

from lmbook import gpu
from lmbook.gpu.kernels import matmul
from lmbook.grader import Exercise, expect, expect_that, ordering
from lmbook.grader.expect import number
from lmbook.grader.launching import kernel, launched

SIZES = ((1, 1, 1), (33, 65, 17), (70, 45, 100))
WHOLE = (64, 96, 64)


def coalesced(t):  # type: ignore[no-untyped-def]
    expect_that(
        t.sectors_per_load <= 4.1 and t.sectors_per_store <= 4.1,
        f"right, but with {t.sectors_per_load:.1f} sectors a load and {t.sectors_per_store:.1f} a "
        "store; 4 are enough",
    )


def tiled(t, size):  # type: ignore[no-untyped-def]
    asked = t.load_bytes / (2 * np.prod(size))
    expect_that(
        asked <= 0.13,
        f"lanes ask for {asked:.3g} byte/FLOP of global memory; a tile of 32 by 32 needs 0.125",
    )


def without_conflicts(report):  # type: ignore[no-untyped-def]
    t = report.total
    expect_that(t.shared_loads > 0, "it loads nothing from shared memory")
    more = [
        (c.shared_load_wavefronts - c.shared_load_ideal, "load", line)
        for c, line in zip(report.lines[1:], report.source)
    ] + [
        (c.shared_store_wavefronts - c.shared_store_ideal, "store", line)
        for c, line in zip(report.lines[1:], report.source)
    ]
    worst, what, line = max(more)
    expect_that(
        worst == 0,
        f"shared memory takes {t.bank_conflict:.2f} times the least passes; the costliest is a {what} "
        f"in the line `{line.strip()}`",
    )


# 3.4.4-a
layer = Exercise("3.4.4-a", title="A linear layer", kind="implement", points=3, needs=["linear"])


def applied(ns, rng, rows, outs, ins):  # type: ignore[no-untyped-def]
    x, w = (
        rng.standard_normal((rows, ins), np.float32),
        rng.standard_normal((outs, ins), np.float32),
    )
    y = np.zeros((rows, outs), np.float32)
    grid = (-(-outs // 32), -(-rows // 32))
    args = (x, w, y, rows, outs, ins)
    report = launched(kernel(ns.linear, "linear"), grid, (32, 32), args)
    of = f"y for {rows} rows, {outs} outputs and {ins} inputs"
    expect(y, x @ w.T, of=of, rtol=1e-4, atol=1e-4)
    return report


@layer.test("one tile", "Row o of w has the weights of output o.")
def one_tile(ns, rng):  # type: ignore[no-untyped-def]
    applied(ns, rng, 32, 32, 32)


@layer.hidden("any layer", "What stands in a tile where the matrices have ended?")
def any_layer(ns, rng):  # type: ignore[no-untyped-def]
    for size in SIZES:
        applied(ns, rng, *size)


@layer.hidden("sectors", "Along which of its two numbers does w lie in memory?")
def layer_sectors(ns, rng):  # type: ignore[no-untyped-def]
    coalesced(applied(ns, rng, *WHOLE).total)


@layer.hidden("bytes", "Every number of a tile should serve 32 products.")
def layer_bytes(ns, rng):  # type: ignore[no-untyped-def]
    tiled(applied(ns, rng, *WHOLE).total, WHOLE)


@layer.hidden("banks", "A column of the tile of w is read or written by 32 lanes at once.")
def layer_banks(ns, rng):  # type: ignore[no-untyped-def]
    without_conflicts(applied(ns, rng, *WHOLE))


# 3.4.4-b
faulty = Exercise(
    "3.4.4-b", title="A product gone wrong", kind="debug", points=3, needs=["product"]
)


def multiplied(ns, rng, m, n, k, races=True):  # type: ignore[no-untyped-def]
    a, b = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
    c = np.zeros((m, n), np.float32)
    grid, args = (-(-n // 32), -(-m // 32)), (a, b, c, m, n, k)
    report = launched(kernel(ns.product, "product"), grid, (32, 32), args, races=races)
    expect(c, a @ b, of=f"C for M = {m}, N = {n}, K = {k}", rtol=1e-4, atol=1e-4)
    return report


@faulty.test("whole tiles, in step", "It was right here: what have you changed?")
def whole_tiles(ns, rng):  # type: ignore[no-untyped-def]
    multiplied(ns, rng, 64, 64, 64, races=False)


@faulty.hidden("any K", "Which products does the outer loop leave out?")
def any_k(ns, rng):  # type: ignore[no-untyped-def]
    for k in (1, 31, 45):
        multiplied(ns, rng, 32, 32, k, races=False)


@faulty.hidden("any shape", "Which of row and column is to be less than M?")
def any_shape(ns, rng):  # type: ignore[no-untyped-def]
    for size in SIZES:
        multiplied(ns, rng, *size, races=False)


@faulty.hidden("in any order of warps", "Who may still read a tile when the next one comes?")
def no_race(ns, rng):  # type: ignore[no-untyped-def]
    multiplied(ns, rng, 70, 45, 100)


@faulty.hidden("sectors and banks", "In which banks does a warp store what it loads of A?")
def cheap(ns, rng):  # type: ignore[no-untyped-def]
    report = multiplied(
        ns, rng, *WHOLE, races=False
    )  # the fault that costs shows without the barrier
    coalesced(report.total)
    tiled(report.total, WHOLE)
    without_conflicts(report)


# 3.4.4-c
numbers = Exercise(
    "3.4.4-c",
    title="Three counts",
    kind="predict",
    points=2,
    needs=["sectors", "bytes_each", "passes"],
)


def counted(name, grid, block, n=64, source=matmul.source):  # type: ignore[no-untyped-def]
    a, b, c = np.ones((3, n, n), np.float32)
    return gpu.Kernel(source, name).simulate(grid, block, (a, b, c, n, n, n))


@numbers.test("the sectors", "Which rows and columns do the 32 lanes of a warp have?")
def of_sectors(ns, rng):  # type: ignore[no-untyped-def]
    right = counted("matmul2_coalesced", (4, 4), (16, 16)).total.sectors_per_load
    got = number(ns.sectors, "`sectors`")
    slip = ": a warp is no longer one row" if got == 2.5 else ""
    expect_that(abs(got - right) < 1e-6, "sectors is not right" + slip)


@numbers.test("the bytes", "Put the two sides into the formula for a tile.")
def of_bytes(ns, rng):  # type: ignore[no-untyped-def]
    got = number(ns.bytes_each, "`bytes_each`")
    slip = ": that is numbers, and one has 4 bytes" if abs(4 * got - 0.046875) < 1e-6 else ""
    slip = ": a multiply-add is two FLOP" if abs(got - 2 * 0.046875) < 1e-6 else slip
    half = min(abs(got - 2 / side) for side in (64, 128)) < 1e-6
    slip = ": that is what one of A and B asks for; the other does too" if half else slip
    expect_that(abs(got - 0.046875) < 5e-4, "bytes_each is not right" + slip)


@numbers.test("the banks", "Write down the banks of the eight rows, for the four values of r.")
def of_passes(ns, rng):  # type: ignore[no-untyped-def]
    source = matmul.source.replace("#define PAD 4", "#define PAD 8")
    t = counted("matmul5_vectorised", (1, 1), 256, source=source).line("As[k][r] =")
    got = number(ns.passes, "`passes`")
    slip = ": rows 0 and 4 start in the same bank" if got == 1 else ""
    slip = (
        ": that is without spare columns; with 8, do all rows start in one bank?"
        if got == 8
        else slip
    )
    expect_that(got == t.shared_store_conflict, "passes is not right" + slip)


# 3.4.4-d
column = Exercise(
    "3.4.4-d", title="Four results a thread", kind="implement", points=3, needs=["fours"]
)


def by_fours(ns, rng, m, n, k):  # type: ignore[no-untyped-def]
    a, b = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
    c = np.zeros((m, n), np.float32)
    grid, args = (-(-n // 32), -(-m // 32)), (a, b, c, m, n, k)
    report = launched(kernel(ns.fours, "fours"), grid, (32, 8), args)
    expect(c, a @ b, of=f"C for M = {m}, N = {n}, K = {k}", rtol=1e-4, atol=1e-4)
    return report


@column.test(
    "one tile", "256 threads fill a tile of 1024: each loads four numbers of A, four of B."
)
def one(ns, rng):  # type: ignore[no-untyped-def]
    by_fours(ns, rng, 32, 32, 32)


@column.hidden("any shape", "Guard rows, columns and K, and each of the four stores.")
def shapes(ns, rng):  # type: ignore[no-untyped-def]
    for size in SIZES:
        by_fours(ns, rng, *size)


@column.hidden("global memory", "Keep threadIdx.x along rows of A, of B and of C.")
def moved(ns, rng):  # type: ignore[no-untyped-def]
    t = by_fours(ns, rng, *WHOLE).total
    coalesced(t)
    tiled(t, WHOLE)


@column.hidden(
    "shared memory", "A thread's four results have the column in common, so one number of B."
)
def shared(ns, rng):  # type: ignore[no-untyped-def]
    report = by_fours(ns, rng, *WHOLE)
    without_conflicts(report)
    each = report.total.shared_loads / (np.prod(WHOLE) / 32)
    expect_that(
        each <= 1.3, f"{each:.2f} shared loads for each multiply-add of a warp; 1.25 are enough"
    )


# 3.4.4-e
ordering(
    "3.4.4-e",
    title="The square tile",
    points=2,
    name="proof",
    steps={"E": "", "C": "E", "A": "", "G": "A", "B": "A", "D": "CGB"},
    wrong={
        "F": "tiles of 1 by 64 and of 8 by 8 have the same product, and load 65 and 16",
        "H": "twice the height halves 1 / m, and leaves 1 / n as it is",
    },
    hint="Say what is loaded; what must be made small; an inequality for it; when it is an equality.",
)
