"""Exercises of section 3.4.1, threads, warps and memory."""

import numpy as np

from lmbook import gpu
from lmbook.gpu.simulator.counters import Counts
from lmbook.grader import Exercise, expect, expect_that, ordering
from lmbook.grader.expect import number
from lmbook.grader.launching import kernel, launched

# 3.4.1-a
columns = Exercise(
    "3.4.1-a", title="Columns, each by its own factor", kind="implement", points=2, needs=["scale"]
)


def scaled(ns, rng, rows, cols):  # type: ignore[no-untyped-def]
    a, s = rng.standard_normal((rows, cols), np.float32), rng.standard_normal(cols, np.float32)
    out = np.zeros_like(a)
    k = kernel(ns.scale, "scale")
    report = launched(k, -(-rows * cols // 256), 256, (a, s, out, rows, cols))
    expect(out, a * s, of=f"out for {rows} rows and {cols} columns")
    return report


@columns.test("one block", "Which row and which column does thread t have?")
def one_block(ns, rng):  # type: ignore[no-untyped-def]
    scaled(ns, rng, 8, 32)


@columns.hidden("any matrix", "What do threads do that have no number?")
def any_matrix(ns, rng):  # type: ignore[no-untyped-def]
    for rows, cols in ((1, 1), (33, 45), (100, 7)):
        scaled(ns, rng, rows, cols)


@columns.hidden("coalesced", "Neighbouring threads should have neighbouring numbers of a row.")
def coalesced(ns, rng):  # type: ignore[no-untyped-def]
    t = scaled(ns, rng, 64, 96).total
    expect_that(
        t.sectors_per_store <= 4.1 and t.sectors_per_load <= 4.1,
        f"right, but with {t.sectors_per_load:.1f} sectors a load and {t.sectors_per_store:.1f} a "
        "store; 4 are enough",
    )


def free_of_conflicts(t: Counts) -> None:
    """Fails unless shared memory is used, and written and read in the least passes."""
    expect_that(t.shared_loads + t.shared_stores > 0, "right, but no shared memory is used")
    for what, times in (("read", t.shared_load_conflict), ("written", t.shared_store_conflict)):
        expect_that(
            not times > 1,  # nan where nothing is
            f"right, but shared memory is {what} in {times:.1f} times the least passes",
        )


# 3.4.1-b
turning = Exercise(
    "3.4.1-b", title="A transpose gone wrong", kind="debug", points=2, needs=["turn"]
)


def turned(ns, rng, rows, cols, races=True):  # type: ignore[no-untyped-def]
    a, out = rng.standard_normal((rows, cols), np.float32), np.zeros((cols, rows), np.float32)
    grid = (-(-cols // 32), -(-rows // 32))
    report = launched(kernel(ns.turn, "turn"), grid, (32, 32), (a, out, rows, cols), races=races)
    expect(out, a.T, of=f"out for {rows} rows and {cols} columns")
    return report


@turning.test("a square of whole tiles, in step", "It was right here: what have you changed?")
def square(ns, rng):  # type: ignore[no-untyped-def]
    turned(ns, rng, 64, 64, races=False)


@turning.hidden("any shape", "Which of the two matrices does the second guard protect?")
def any_shape(ns, rng):  # type: ignore[no-untyped-def]
    for rows, cols in ((70, 45), (33, 100), (1, 40)):
        turned(ns, rng, rows, cols, races=False)


@turning.hidden("in any order of warps", "Between writing the tile and reading it, who waits?")
def no_race(ns, rng):  # type: ignore[no-untyped-def]
    turned(ns, rng, 70, 45)


@turning.hidden("sectors and banks", "In which bank is the k-th row of a column of the tile?")
def cheap(ns, rng):  # type: ignore[no-untyped-def]
    t = turned(ns, rng, 64, 96).total
    expect_that(
        t.sectors_per_load <= 4.1 and t.sectors_per_store <= 4.1,
        f"{t.sectors_per_load:.1f} sectors a load and {t.sectors_per_store:.1f} a store; 4 are enough",
    )
    free_of_conflicts(t)


# 3.4.1-c
numbers = Exercise(
    "3.4.1-c",
    title="Three counts",
    kind="predict",
    points=2,
    needs=["doubles", "passes", "divergent"],
)
COUNTED = r"""
extern "C" __global__ void doubles(const double* x, double* y) {
  y[threadIdx.x] = x[threadIdx.x + 1];
}
extern "C" __global__ void column(float* y) {
  __shared__ float tile[32][36];
  for (int r = 0; r < 32; ++r) tile[r][threadIdx.x] = 1.0f;
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x][3];
}
extern "C" __global__ void branch(float* y) {
  if (threadIdx.x % 64 < 40) y[threadIdx.x] = 1.0f;
}
"""


@numbers.test("the doubles", "Draw the bytes from 8 on, and a line at every multiple of 32.")
def of_doubles(ns, rng):  # type: ignore[no-untyped-def]
    x = np.zeros(33)
    right = gpu.Kernel(COUNTED, "doubles").simulate(1, 32, (x, np.zeros(32))).total.load_sectors
    got = number(ns.doubles, "`doubles`")
    slips: dict[float, str] = {
        8: ": the first one is not at the start of a sector",
        5: ": a double has 8 bytes",
    }
    expect_that(got == right, "doubles is not right" + slips.get(got, ""))


@numbers.test("the banks", "Write down the banks of rows 0 to 8.")
def of_passes(ns, rng):  # type: ignore[no-untyped-def]
    t = gpu.Kernel(COUNTED, "column").simulate(1, 32, (np.zeros(32, np.float32),)).total
    got = number(ns.passes, "`passes`")
    slip = (
        ": 36 words are not 32" if got == 32 else ": rows 0 and 8 are both read" if got == 1 else ""
    )
    expect_that(got == t.shared_load_wavefronts, "passes is not right" + slip)


@numbers.test("the branch", "Go through the warps one by one: which threads has each?")
def of_divergent(ns, rng):  # type: ignore[no-untyped-def]
    t = gpu.Kernel(COUNTED, "branch").simulate(1, 128, (np.zeros(128, np.float32),)).total
    got = number(ns.divergent, "`divergent`")
    slips: dict[float, str] = {
        4: ": in some warps all lanes agree",
        3: ": all lanes of one of yours agree",
    }
    expect_that(got == t.divergent, "divergent is not right" + slips.get(got, ""))


# 3.4.1-d
planes = Exercise(
    "3.4.1-d", title="From pixels to planes", kind="implement", points=3, needs=["planar"]
)


def split(ns, rng, n):  # type: ignore[no-untyped-def]
    rgb, out = rng.standard_normal((n, 3), np.float32), np.zeros((3, n), np.float32)
    report = launched(kernel(ns.planar, "planar"), -(-n // 256), 256, (rgb, out, n))
    expect(out, rgb.T, of=f"out for {n} pixels")
    return report.total


@planes.test("256 pixels", "Where is colour c of pixel i before, and where after?")
def one(ns, rng):  # type: ignore[no-untyped-def]
    split(ns, rng, 256)


@planes.hidden("any number of pixels", "The last block has fewer; guard loads and stores each.")
def any_number(ns, rng):  # type: ignore[no-untyped-def]
    for n in (1, 37, 300, 1000):
        split(ns, rng, n)


@planes.hidden("sectors", "Load the block's 768 numbers in the order in which they lie.")
def moved(ns, rng):  # type: ignore[no-untyped-def]
    t = split(ns, rng, 1024)
    expect_that(
        t.sectors_per_load <= 4.1 and t.sectors_per_store <= 4.1,
        f"right, but with {t.sectors_per_load:.1f} sectors a load and {t.sectors_per_store:.1f} a "
        "store; 4 are enough",
    )
    expect_that(t.load_bytes == 12 * 1024, "every number should be loaded once")


@planes.hidden(
    "banks", "Try to turn the order where shared memory is read, or where it is written."
)
def conflicts(ns, rng):  # type: ignore[no-untyped-def]
    free_of_conflicts(split(ns, rng, 1024))


# 3.4.1-e
ordering(
    "3.4.1-e",
    title="Odd rows",
    points=2,
    name="proof",
    steps={"D": "", "A": "D", "G": "", "C": "", "E": "AGC", "B": "", "H": "AB", "F": "EH"},
    wrong={
        "I": "rows of 36 words are no multiple of 32, and lanes 0 and 8 meet",
        "J": "33 is not prime and shares no factor with 32; it is enough to be odd",
    },
    hint="Say in which bank a lane's word lies; when two lanes meet; then odd, then even.",
)
