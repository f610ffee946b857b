"""Exercises of section 3.4.2, working together: reductions and rows."""

import numpy as np

from lmbook import gpu
from lmbook.gpu.kernels import reduction
from lmbook.grader import Exercise, expect, expect_that, ordering
from lmbook.grader.expect import number
from lmbook.grader.launching import kernel, launched

SHAPES = ((1, 1), (5, 33), (7, 100), (3, 300))


def few_sectors(t):  # type: ignore[no-untyped-def]
    """Requests are coalesced, and no lane walks alone."""
    expect_that(
        t.sectors_per_load <= 4.1 and (not t.store_requests or t.sectors_per_store <= 4.1),
        f"right, but with {t.sectors_per_load:.1f} sectors a load and {t.sectors_per_store:.1f} a "
        "store; 4 are enough",
    )
    expect_that(
        t.load_efficiency > 0.9,
        f"right, but {1 - t.load_efficiency:.0%} of the bytes that the loads move are not wanted",
    )


# 3.4.2-a
largest = Exercise(
    "3.4.2-a", title="The largest of each row", kind="implement", points=2, needs=["absmax"]
)


def row_maxima(ns, rng, rows, n):  # type: ignore[no-untyped-def]
    x, out = rng.standard_normal((rows, n), np.float32), np.zeros(rows, np.float32)
    x[:, -1] -= 9.0
    report = launched(kernel(ns.absmax, "absmax"), -(-rows // 4), 128, (x, out, rows, n))
    few = rows * n <= 12
    shown = (
        f"x = {np.round(x.astype(float), 2).tolist()}"
        if few
        else f"{rows} by {n} numbers, the last column near -9"
    )
    expect(out, np.abs(x).max(axis=1), of=f"out for {shown}")
    return report.total, x


@largest.test("four rows of 32", "Each lane has one number of its warp's row.")
def four_rows(ns, rng):  # type: ignore[no-untyped-def]
    row_maxima(ns, rng, 4, 32)


@largest.hidden("any shape", "Which warps have no row? Which lanes have no number?")
def any_rows(ns, rng):  # type: ignore[no-untyped-def]
    for rows, n in SHAPES:
        row_maxima(ns, rng, rows, n)


@largest.hidden("coalesced", "In one step, neighbouring lanes should read neighbouring numbers.")
def row_loads(ns, rng):  # type: ignore[no-untyped-def]
    t, x = row_maxima(ns, rng, 64, 96)
    few_sectors(t)
    expect_that(t.load_bytes == x.nbytes, "every number should be read once")


@largest.hidden("by registers alone", "How do lanes exchange numbers without shared memory?")
def by_registers(ns, rng):  # type: ignore[no-untyped-def]
    t, _ = row_maxima(ns, rng, 64, 96)
    expect_that(
        not (t.shared_loads or t.shared_stores or t.barriers or t.atomics),
        "shuffles are enough: no shared memory, no barrier, no atomic",
    )


# 3.4.2-b
smoothing = Exercise(
    "3.4.2-b", title="A softmax gone wrong", kind="debug", points=2, needs=["smooth"]
)


def smoothed(ns, x):  # type: ignore[no-untyped-def]
    rows, n = x.shape
    y = np.zeros_like(x)
    report = launched(kernel(ns.smooth, "smooth"), -(-rows // 4), 128, (x, y, rows, n))
    e = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    expect(
        y,
        e / e.sum(axis=1, keepdims=True),
        of=f"y for x of shape ({rows}, {n})",
        atol=1e-6,
        rtol=1e-4,
    )
    return report.total


@smoothing.test("rows of equal numbers", "It was right here: what have you changed?")
def equal_numbers(ns, rng):  # type: ignore[no-untyped-def]
    smoothed(ns, np.ones((4, 64), np.float32))


@smoothing.hidden("any row", "Relative to which maximum is each lane's sum, when they meet?")
def any_row(ns, rng):  # type: ignore[no-untyped-def]
    for rows, n in SHAPES:
        smoothed(ns, 3 * rng.standard_normal((rows, n), np.float32))


@smoothing.hidden("rows far below zero", "What is the maximum of no numbers?")
def far_below(ns, rng):  # type: ignore[no-untyped-def]
    smoothed(ns, rng.standard_normal((5, 40), np.float32) - 300)


@smoothing.hidden("masked numbers", "Which numbers have no share, and what is inf - inf?")
def masked(ns, rng):  # type: ignore[no-untyped-def]
    x = rng.standard_normal((5, 70), np.float32)
    x[0, :40] = x[1, 30:] = x[2, :-1] = x[3, ::2] = -np.inf
    smoothed(ns, x)


@smoothing.hidden("reads", "It was cheap, and should stay so.")
def still_cheap(ns, rng):  # type: ignore[no-untyped-def]
    x = rng.standard_normal((64, 96), np.float32)
    t = smoothed(ns, x)
    few_sectors(t)
    expect_that(t.load_bytes <= 2 * x.nbytes, "the row should be read twice at most")


# 3.4.2-c
counts = Exercise(
    "3.4.2-c", title="Three counts of a tree", kind="predict", points=2,
    needs=["shuffles", "divergent", "passes"],
)  # fmt: skip


def tree(name: str, threads: int) -> gpu.Report:
    """One block of a version of the sum, with another number of threads."""
    source = reduction.source.replace("#define THREADS 256", f"#define THREADS {threads}")
    x, total = np.ones(threads, np.float32), np.zeros(1, np.float32)
    return gpu.Kernel(source, name).simulate(1, threads, (x, total, threads), watch=(0, 0))


@counts.test("the shuffles", "Sixteen warps do it once, and one warp has more to do.")
def of_shuffles(ns, rng):  # type: ignore[no-untyped-def]
    got = number(ns.shuffles, "`shuffles`")
    slips: dict[float, str] = {
        16 * 9: ": the last rounds are done by a single warp",
        16 * 5: ": the warps' totals have to be added as well",
        16 * 5 + 5: ": there are fewer totals than lanes",
        16 * 5 + 3: ": a block of 512 has more totals than one of 256",
        9: ": every warp does its own rounds",
    }
    slip = slips.get(got, "")
    expect_that(got == tree("reduce4_shuffle", 512).total.shuffles, "shuffles is not right" + slip)


@counts.test("the branches", "In which rounds do some lanes of a warp add, and others not?")
def of_divergent(ns, rng):  # type: ignore[no-untyped-def]
    got = number(ns.divergent, "`divergent`")
    slips: dict[float, str] = {
        11: ": in the first rounds whole warps add or rest",
        10: ": in the first rounds whole warps add or rest",
        5: ": there is one more `if`, after the rounds",
    }
    slip = slips.get(got, "")
    expect_that(
        got == tree("reduce3_sequential", 1024).total.divergent, "divergent is not right" + slip
    )


@counts.test("the banks", "Write down the banks of lanes 0 to 8.")
def of_passes(ns, rng):  # type: ignore[no-untyped-def]
    loads = [q for q in tree("reduce2_strided", 256).requests if "+=" in q.text and not q.store]
    words = np.unique(loads[2].index)  # round 2: d = 2
    got = number(ns.passes, "`passes`")
    slips: dict[float, str] = {
        1: ": lanes 0 and 8 want different words of one bank",
        8: ": that is how many banks are used; how many words does each have to give?",
    }
    slip = slips.get(got, "")
    expect_that(got == np.bincount(words % 32).max(), "passes is not right" + slip)


# 3.4.2-d
rms = Exercise(
    "3.4.2-d", title="RMS norm, read once", kind="implement", points=3, needs=["rms_norm"]
)


def normed(ns, rng, rows, n, eps=1e-5, size=1.0):  # type: ignore[no-untyped-def]
    x, w = rng.standard_normal((rows, n), np.float32) + 2, rng.standard_normal(n, np.float32)
    x, y = x * np.float32(size), np.zeros_like(x)
    k = kernel(ns.rms_norm, "rms_norm")
    report = launched(k, rows, 128, (x, w, y, rows, n, eps), shared_mem=4 * n)
    mean = (x.astype(np.float64) ** 2).mean(axis=1, keepdims=True)
    of = f"y for x of shape ({rows}, {n})" + (f" and eps {eps:g}" if eps > 1e-5 or size < 1 else "")
    expect(y, x / np.sqrt(mean + eps) * w, of=of, atol=1e-6, rtol=1e-4)
    return report.total, x


@rms.test("one row of 128", "Square, sum over the block, divide by n.")
def one_row(ns, rng):  # type: ignore[no-untyped-def]
    normed(ns, rng, 1, 128)


@rms.hidden("any shape", "Rows may be shorter than a warp, or longer than a block.")
def any_shape(ns, rng):  # type: ignore[no-untyped-def]
    for rows, n in SHAPES:
        normed(ns, rng, rows, n)


@rms.hidden("any eps", "Where does eps stand in the formula, and who says how great it is?")
def any_eps(ns, rng):  # type: ignore[no-untyped-def]
    normed(ns, rng, 3, 100, eps=0.5)
    normed(ns, rng, 3, 100, eps=1e-4, size=0.01)
    normed(ns, rng, 3, 100, eps=1e-5, size=1e-3)


@rms.hidden("read once", "Keep the row where the whole block can see it, or each its own part.")
def read_once(ns, rng):  # type: ignore[no-untyped-def]
    t, x = normed(ns, rng, 4, 512)
    wanted = t.load_bytes / x.nbytes
    expect_that(
        wanted <= 2,  # x, and the weight
        f"right, but each row loads {wanted:.1f} times its bytes; x and the weight are 2",
    )


@rms.hidden("sectors and banks", "In one step, neighbouring threads read neighbouring numbers.")
def cheap(ns, rng):  # type: ignore[no-untyped-def]
    t, _ = normed(ns, rng, 4, 512)
    few_sectors(t)
    expect_that(
        t.bank_conflict == 1, f"shared memory takes {t.bank_conflict:.1f} times the least passes"
    )


# 3.4.2-e
ordering(
    "3.4.2-e",
    title="Merging parts of a softmax",
    points=2,
    name="proof",
    steps={"C": "", "F": "C", "A": "F", "H": "", "D": "FAH", "B": "C", "G": "DB", "E": "G"},
    wrong={
        "I": "additions in float32 are rounded, and their order shows in the last bits",
        "J": "the factors bring both sums to one maximum, whatever the two were",
    },
    hint="Say what a pair stands for; what merging does to it; then why the order makes no difference.",
)
