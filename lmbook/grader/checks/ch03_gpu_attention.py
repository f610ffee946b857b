"""Exercises of section 3.4.5, flash attention and the proofs."""

import numpy as np

from lmbook.gpu import kernels
from lmbook.gpu.kernels.attention import attention_reference
from lmbook.grader import Exercise, expect, expect_that, ordering
from lmbook.grader.expect import number
from lmbook.grader.launching import kernel, launched

D, SCALE = 64, 0.125

# 3.4.5-a
joining = Exercise(
    "3.4.5-a", title="Two parts of the keys", kind="implement", points=2, needs=["merge"]
)


def parts(rng, rows, shift=(0.0, 0.0)):  # type: ignore[no-untyped-def]
    """Outputs and log-sums of two parts of the keys, and of both together, in float64."""
    s = rng.standard_normal((rows, 40)) * 2
    s[:, :25] += shift[0]
    s[:, 25:] += shift[1]
    v = rng.standard_normal((40, D))

    def attend(part):  # type: ignore[no-untyped-def]
        top = s[:, part].max(axis=1, keepdims=True)
        e = np.exp(s[:, part] - top)
        total = e.sum(axis=1, keepdims=True)
        return e / total @ v[part], (top + np.log(total))[:, 0]

    return attend(slice(0, 25)), attend(slice(25, 40)), attend(slice(0, 40))


def joined(ns, rng, rows, shift=(0.0, 0.0), empty=""):  # type: ignore[no-untyped-def]
    (oa, la), (ob, lb), (o, log_sum) = parts(rng, rows, shift)
    if empty == "b":  # no key of the second part may be seen
        ob, lb, o, log_sum = 0 * ob, np.full(rows, -np.inf), oa, la
    if empty == "a":
        oa, la, o, log_sum = 0 * oa, np.full(rows, -np.inf), ob, lb
    out, out_l = np.zeros((rows, D), np.float32), np.zeros(rows, np.float32)
    arrays = [x.astype(np.float32) for x in (oa, la, ob, lb)]
    k = kernel(ns.merge, "merge")
    report = launched(k, -(-rows * D // 256), 256, (*arrays, out, out_l, rows))
    expect(out, o, rtol=1e-4, atol=1e-4, of=f"O for {rows} rows")
    expect(out_l, log_sum, rtol=1e-4, atol=1e-4, of=f"L for {rows} rows")
    return report.total


@joining.test("four rows", "The part with the larger L weighs more: by which factor?")
def four(ns, rng):  # type: ignore[no-untyped-def]
    joined(ns, rng, 4)


@joining.hidden("any number of rows", "What do threads do that have no number?")
def any_rows(ns, rng):  # type: ignore[no-untyped-def]
    for rows in (1, 7, 30):
        joined(ns, rng, rows)


@joining.hidden("far from zero", "exp(100) is too large for float32: subtract something first.")
def far(ns, rng):  # type: ignore[no-untyped-def]
    for shift in ((150.0, 150.0), (-150.0, -150.0), (150.0, -150.0), (-150.0, 150.0)):
        joined(ns, rng, 6, shift)


@joining.hidden("an empty part", "What is the weight of a part whose L is minus infinity?")
def nothing(ns, rng):  # type: ignore[no-untyped-def]
    for empty in "ab":
        joined(ns, rng, 6, empty=empty)


@joining.hidden("coalesced", "Neighbouring threads should have neighbouring numbers of a row.")
def coalesced(ns, rng):  # type: ignore[no-untyped-def]
    t = joined(ns, rng, 64)
    expect_that(
        t.sectors_per_load <= 4.1 and t.sectors_per_store <= 4.1,
        f"right, but with {t.sectors_per_load:.1f} sectors a load and {t.sectors_per_store:.1f} a "
        "store; 4 are enough",
    )


# 3.4.5-b
online = Exercise("3.4.5-b", title="Nearly online", kind="debug", points=3, needs=["online"])


def attended(ns, rng, length, hard=False, races=False):  # type: ignore[no-untyped-def]
    q, k, v = rng.standard_normal((3, length, D), np.float32)
    if hard:  # scores about -128, where exp in float32 gives 0
        q[1::2] -= 4
        k += 4
    o = np.zeros_like(q)
    args = (q, k, v, o, length, SCALE)
    report = launched(kernel(ns.online, "online"), length, D, args, races=races)
    (right,) = attention_reference(q[None], k[None], v[None])
    expect(o, right[0], rtol=1e-4, atol=1e-4, of=f"O for {length} positions")
    return report.total


@online.test("one tile, in step", "It was right here: what have you changed?")
def one_tile(ns, rng):  # type: ignore[no-untyped-def]
    attended(ns, rng, 60)


@online.hidden("several tiles", "A larger maximum has come. What was computed with the old one?")
def tiles(ns, rng):  # type: ignore[no-untyped-def]
    for length in (65, 150):
        attended(ns, rng, length)


@online.hidden("scores far below zero", "What is the largest of no scores?")
def low(ns, rng):  # type: ignore[no-untyped-def]
    attended(ns, rng, 40, hard=True)


@online.hidden("in any order of warps", "A warp may be a tile ahead of the other one.")
def ordered(ns, rng):  # type: ignore[no-untyped-def]
    attended(ns, rng, 130, races=True)


@online.hidden("no barrier too many", "Two barriers a tile are enough.")
def barriers(ns, rng):  # type: ignore[no-untyped-def]
    t = attended(ns, rng, 100)
    enough = 2 * 2 * sum(i // 64 + 1 for i in range(100))  # two warps, two barriers a tile
    expect_that(
        t.barriers <= enough,
        f"right, but {t.barriers:,} warps come to a barrier; {enough:,} are enough",
    )


# 3.4.5-c
numbers = Exercise(
    "3.4.5-c",
    title="Bytes, tiles, factors",
    kind="predict",
    points=2,
    needs=["extra", "tiles", "factors"],
)


@numbers.test("the bytes", "How often does a number of the score matrix come or go?")
def of_extra(ns, rng):  # type: ignore[no-untyped-def]
    given = kernels.attention.sample(rng, (1, 200))
    reports = kernels.attention.run("attention1_unfused", *given).reports
    right = sum(r.bytes_touched for r in reports if r is not None) - 4 * given[0].nbytes
    got = number(ns.extra, "`extra`")
    slip = ""
    if got == right / 4:
        slip = ": the scores come and go more than once"
    elif got == right / 2:
        slip = ": the softmax both reads and writes them"
    elif abs(got - right) <= 0.05 * right:
        slip = ": nearly; the inputs, the output and L are not asked for"
    expect_that(got == right, "extra is not right" + slip)


@numbers.test("the tiles", "How many tiles has the first block, and how many the last?")
def of_tiles(ns, rng):  # type: ignore[no-untyped-def]
    given = kernels.attention.sample(rng, (1, 160))
    (report,) = kernels.attention.run("attention2_flash", *given).reports
    assert report is not None
    got = number(ns.tiles, "`tiles`")
    slips = {
        25: ": those in the future are not loaded",
        10: ": the tile at the diagonal is loaded, too",
    }
    slip = slips.get(int(got), "")
    expect_that(got == report.total.barriers // 8, "tiles is not right" + slip)


@numbers.test("the factors", "Write down the largest score so far, from the first score on.")
def of_factors(ns, rng):  # type: ignore[no-untyped-def]
    top, right = -np.inf, 0
    for s in (2.0, 5.0, 5.0, 1.0, 7.0, 3.0):
        higher = max(top, s)
        right += 0 < np.exp(top - higher) < 1
        top = higher
    got = number(ns.factors, "`factors`")
    slip = {
        right + 1: ": at the first score the factor is 0",
        right + 2: ": an equal score gives the factor 1, and the first one 0",
    }.get(int(got), ": most scores leave the maximum as it is")
    expect_that(got == right, "factors is not right" + slip)


# 3.4.5-d
cache = Exercise(
    "3.4.5-d", title="One query, a long cache", kind="implement", points=3, needs=["decode"]
)


def decoded(ns, rng, heads, length, hard=False, rising=False, races=True):  # type: ignore[no-untyped-def]
    q = rng.standard_normal((heads, D), np.float32)
    k, v = rng.standard_normal((2, heads, length, D), np.float32)
    if hard:
        q[::2] -= 4
        k += 4
    if rising:  # the first score about 0, the others about 128
        q += 4
        k[:, 1:] += 4
    o = np.zeros_like(q)
    report = launched(
        kernel(ns.decode, "decode"), heads, 32, (q, k, v, o, length, SCALE), races=races
    )
    s = np.einsum("hd,hjd->hj", q.astype(np.float64), k) * SCALE
    e = np.exp(s - s.max(axis=1, keepdims=True))
    right = np.einsum("hj,hjd->hd", e / e.sum(axis=1, keepdims=True), v)
    expect(o, right, rtol=1e-4, atol=1e-4, of=f"o for {heads} heads and {length} keys")
    return report


@cache.test("one head, ten keys", "A lane has two of the 64 numbers; who needs their sum?")
def ten(ns, rng):  # type: ignore[no-untyped-def]
    decoded(ns, rng, 1, 10)


@cache.hidden("any number of heads and keys", "Where do the keys of head h begin?")
def any_cache(ns, rng):  # type: ignore[no-untyped-def]
    for heads, length in ((3, 1), (2, 33), (1, 70)):
        decoded(ns, rng, heads, length)


@cache.hidden("scores far below zero", "What is the largest of no scores?")
def low_scores(ns, rng):  # type: ignore[no-untyped-def]
    decoded(ns, rng, 2, 20, hard=True)


@cache.hidden("scores that rise", "A larger score has come. What was summed with the old maximum?")
def rising_scores(ns, rng):  # type: ignore[no-untyped-def]
    decoded(ns, rng, 2, 20, rising=True)


@cache.hidden("each byte once", "Lanes along d, and no second pass over the keys.")
def once(ns, rng):  # type: ignore[no-untyped-def]
    report = decoded(ns, rng, 2, 64, races=False)
    expect_that(
        report.total.sectors_per_load <= 4.1,
        f"right, but with {report.total.sectors_per_load:.1f} sectors a load; 4 are enough",
    )
    expect_that(
        report.bytes_issued <= 1.05 * report.bytes_touched,
        f"right, but {report.bytes_issued:,} bytes are issued to touch {report.bytes_touched:,}",
    )


# 3.4.5-e
ordering(
    "3.4.5-e",
    title="A sum over the row that is none",
    points=2,
    name="proof",
    steps={"C": "", "E": "", "A": "C", "G": "EA", "B": "G", "H": "", "D": "BH"},
    wrong={
        "F": "the denominator of every weight holds every score",
        "I": "the weights sum to 1, but are not all equal",
    },
    hint="First the derivative of a weight, then the chain rule, then the two parts of its sum.",
)
