"""Exercises of section 3.3.7, plans for 100,000 accelerators."""

from lmbook.grader import CheckFailed, Exercise, expect, expect_that, ordering
from lmbook.parallel import planner as pl
from lmbook.parallel.planner import published, tables

# 3.3.7-a
utilisation = Exercise(
    "3.3.7-a", title="What a run makes of its machine", kind="implement", points=2, needs=["mfu"]
)


@utilisation.test("PaLM", "Which operations are useful: those of the weights, and which others?")
def palm(ns, rng):  # type: ignore[no-untyped-def]
    m = published.PALM_540B
    got = ns.mfu(238.3e3, m.parameters(), m.layers, m.width, m.sequence, 6144, 275e12)
    expect(100 * got, 46.2, of="MFU of PaLM in per cent", atol=0.1, rtol=0)


@utilisation.hidden("other runs", "Is every factor of the formula there, the 6 and the 12 as well?")
def others(ns, rng):  # type: ignore[no-untyped-def]
    m = published.MT_NLG_530B
    got = ns.mfu(65.43e3, m.parameters(), m.layers, m.width, m.sequence, 2240, 312e12)
    expect(100 * got, 30.2, of="MFU of MT-NLG in per cent", atol=0.1, rtol=0)
    for _ in range(5):
        n, s, speed = (float(rng.integers(1, 100) * x) for x in (1e9, 1e3, 1e4))
        l, h, chips = (int(rng.integers(8, 99)) for _ in range(3))
        right = speed * (6 * n + 12 * l * s * h) / (chips * 3e14)
        expect(ns.mfu(speed, n, l, h, s, chips, 3e14), right, of="mfu of a made-up run", rtol=1e-9)


# 3.3.7-b
seconds = Exercise(
    "3.3.7-b", title="A step that takes too long", kind="debug", points=2, needs=["step_seconds"]
)


def drawn(rng, chunks=None):  # type: ignore[no-untyped-def]
    """A model, a cluster, a layout without tensor or context parallelism, a batch."""
    p, v = 2 ** int(rng.integers(1, 3)), chunks or int(rng.choice([1, 2]))
    d = 2 ** int(rng.integers(1, 4))
    m = pl.Transformer(16, 512 * int(rng.integers(1, 5)), 8)
    cluster = pl.Cluster(d * p, 3e14, 8e10, per_node=1, latency=0.0)
    layout = pl.Layout(d, p, 1, 1, 1, 1, v, "full", False)
    return m, cluster, layout, d * p * int(rng.integers(1, 4))


def parts(ns, m, cluster, layout, batch):  # type: ignore[no-untyped-def]
    """What the learner's function says, and what the planner does."""
    got = ns.step_seconds(
        m.flops_per_token() * m.sequence, m.parameters(), batch, layout.data, layout.pipeline,
        layout.chunks, cluster.peak, cluster.efficiency, cluster.between,
    )  # fmt: skip
    if not isinstance(got, dict):
        raise CheckFailed("step_seconds should return a dictionary of seconds")
    again = pl.predict(m, cluster, pl.Layout(layout.data, layout.pipeline, chunks=layout.chunks,
                                             recompute="none"), batch)  # fmt: skip
    return got, again.seconds


@seconds.test("computation", "Who shares the work: the data ranks alone?")
def computation(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(4):
        got, right = parts(ns, *drawn(rng))
        expect(got["compute"], right["compute"], of="seconds of compute", rtol=1e-6)


@seconds.hidden(
    "the bubble", "How many microbatches go through, and what do chunks do to the wait?"
)
def bubble(ns, rng):  # type: ignore[no-untyped-def]
    for chunks in (1, 2, 1, 2):
        got, right = parts(ns, *drawn(rng, chunks))
        expect(
            got["bubble"], right["bubble"], of=f"seconds of the bubble, {chunks} chunks", rtol=1e-6
        )


@seconds.hidden("the gradients", "Which gradients does a rank hold, and how often do they travel?")
def gradients(ns, rng):  # type: ignore[no-untyped-def]
    for _ in range(4):
        got, right = parts(ns, *drawn(rng))
        expect(got["data"], right["data"], of="seconds of data", rtol=1e-6)


# 3.3.7-c
numbers = Exercise(
    "3.3.7-c",
    title="Three numbers",
    kind="predict",
    points=2,
    needs=["data", "billions", "share"],
)


@numbers.test("the slip", "Which number makes both the GPUs and the tokens of a batch right?")
def slip(ns, rng):  # type: ignore[no-untyped-def]
    n, t, c, p, printed, s, each, *_ = tables.LLAMA_3_TABLE_4[2]
    right = n // (t * c * p)
    assert right * each * s == 16 * 2**20
    remark = ": that is the printed one" if ns.data == printed else ""
    expect_that(ns.data == right, "data is not right" + remark)


@numbers.test("the budget", "C is 6 N D, and D is 20 N.")
def budget(ns, rng):  # type: ignore[no-untyped-def]
    right = pl.chinchilla(1.2e24)[0] / 1e9
    slip = ": what does a token cost, for each parameter?" if ns.billions > 1.5 * right else ""
    expect_that(abs(float(ns.billions) / right - 1) < 0.01, "billions is not within 1 %" + slip)


@numbers.test(
    "the meetings", "How long do 50 steps take, and how long a meeting with twice the bits?"
)
def meetings(ns, rng):  # type: ignore[no-untyped-def]
    link = pl.Regions(1e10, 10, 100, 1).bytes_per_step() * 100 / 200
    right = pl.Regions(1e10, 10, 50, 2, link).utilisation(20)
    close = abs(float(ns.share) - 1000 / 1200) < 0.01
    remark = ": 16 bits take twice as long as 8" if close else ""
    expect_that(abs(float(ns.share) - right) < 0.005, "share is not within 0.005" + remark)


# 3.3.7-d
choose = Exercise("3.3.7-d", title="A layout", kind="implement", points=3, needs=["layout"])
LIMIT, SLACK = 36e9, 1.01


def judged(ns):  # type: ignore[no-untyped-def]
    """The learner's step."""
    if not isinstance(ns.layout, pl.Layout):
        raise CheckFailed(f"layout should be a pl.Layout, and is {type(ns.layout).__name__}")
    if ns.layout.accelerators != 512:
        raise CheckFailed(f"the degrees make {ns.layout.accelerators} accelerators, not 512")
    if ns.layout.overlap:
        raise CheckFailed("leave overlap off")
    return pl.predict(published.GPT_3, pl.Cluster.of("A100 40GB", 512), ns.layout, 1536)


@choose.test("512 accelerators, and it fits", "What divides the state: which degrees, which stage?")
def fits(ns, rng):  # type: ignore[no-untyped-def]
    got = judged(ns).memory
    expect_that(got <= LIMIT, f"{got / 1e9:.1f} GB are more than 36")


@choose.test(
    "quick enough", "Where does the time go? Which field of the layout makes that part smaller?"
)
def quick(ns, rng):  # type: ignore[no-untyped-def]
    best = pl.plan(published.GPT_3, pl.Cluster.of("A100 40GB", 512), 1536).step
    step = judged(ns)
    most = max((v, k) for k, v in step.seconds.items() if k != "compute")[1]
    expect_that(step.memory <= LIMIT and step.time <= SLACK * best.time,
                f"{step.time:.1f} s; besides compute, most goes to {most}")  # fmt: skip


# 3.3.7-e
ordering(
    "3.3.7-e",
    title="Where the best size lies",
    points=2,
    name="proof",
    steps={"D": "", "A": "D", "F": "A", "B": "F", "H": "BD", "C": "H"},
    wrong={
        "E": "both terms need not be equal: their slopes, alpha and beta times as large, must be",
        "G": "more tokens lower the loss, but fewer parameters raise it: D is not free",
    },
    hint="Put the budget into the loss; derive; set to zero; put the budget in again.",
)
