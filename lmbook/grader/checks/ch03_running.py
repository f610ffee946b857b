"""Exercises of section 3.3.6, real ranks, failures and resuming."""

import numpy as np

from lmbook.grader import Exercise, expect, expect_that, ordering

# 3.3.6-a
cut = Exercise("3.3.6-a", title="Cut anew", kind="implement", points=2, needs=["reshard"])


def recut(ns, sizes, m):  # type: ignore[no-untyped-def]
    """All new blocks, and how many entries each asked for; files hold 0, 1, 2, ..."""
    ends = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    blocks, asked = [], []
    for r in range(m):
        count = [0]

        def read(i, start, stop, count=count):  # type: ignore[no-untyped-def]
            expect_that(
                0 <= i < len(sizes) and 0 <= start <= stop <= sizes[i],
                f"read({i}, {start}, {stop}): there is no such piece, file {i} has "
                f"{sizes[i] if 0 <= i < len(sizes) else 'no'} entries",
            )
            count[0] += stop - start
            return np.arange(ends[i] + start, ends[i] + stop, dtype=float)

        blocks.append(np.asarray(ns.reshard(list(sizes), read, m, r), float).reshape(-1))
        asked.append(count[0])
    return blocks, asked


def compare(ns, sizes, m):  # type: ignore[no-untyped-def]
    n = sum(sizes)
    for r, got in enumerate(recut(ns, sizes, m)[0]):
        want = np.arange(n * r // m, n * (r + 1) // m, dtype=float)
        expect(got, want, of=f"block {r} of {m} from files of {list(sizes)} entries")


@cut.test("four files for two ranks", "Each new rank needs two whole files.")
def two_for_four(ns, rng):  # type: ignore[no-untyped-def]
    compare(ns, (3, 3, 3, 3), 2)


@cut.hidden(
    "uneven files, any number of ranks", "Count from the start of the file, not of the vector."
)
def uneven(ns, rng):  # type: ignore[no-untyped-def]
    for sizes, m in (((2, 3, 2, 3), 3), ((13, 13, 14), 8), ((5, 0, 4), 2), ((1, 1), 4), ((7,), 3)):
        compare(ns, sizes, m)
    compare(ns, tuple(int(k) for k in rng.integers(0, 9, 6)), int(rng.integers(2, 9)))


@cut.hidden("nothing is read that is not needed", "Ask only for entries of your own block.")
def no_more(ns, rng):  # type: ignore[no-untyped-def]
    blocks, asked = recut(ns, (10, 11, 10, 11), 3)
    expect_that(
        asked == [len(b) for b in blocks],
        f"ranks asked for {asked} entries, and their blocks have {[len(b) for b in blocks]}",
    )


# 3.3.6-b
again = Exercise("3.3.6-b", title="Not the same run", kind="debug", points=2, needs=["go_on"])


def reference(state, examples, steps):  # type: ignore[no-untyped-def]
    """What go_on should do."""
    w, v = state["w"].copy(), state["v"].copy()
    for step in range(state["step"], steps):
        rows = np.random.default_rng([7, step]).permutation(len(examples))[:4]
        mask = np.random.default_rng([8, step]).random(w.shape) < 0.8
        v = 0.9 * v + mask * (w - examples[rows].mean(axis=0))
        w = w - 0.1 * v
    return {"step": steps, "w": w, "v": v}


def beginning(rng):  # type: ignore[no-untyped-def]
    return {"step": 0, "w": rng.normal(size=5), "v": np.zeros(5)}, rng.normal(size=(12, 5))


def copied(state):  # type: ignore[no-untyped-def]
    return {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in state.items()}


def agree(got, want, of):  # type: ignore[no-untyped-def]
    expect_that(got["step"] == want["step"], f"{of}: the step is {got['step']}")
    expect(got["w"], want["w"], of=f"w, {of}", rtol=0, atol=0)
    expect(got["v"], want["v"], of=f"v, {of}", rtol=0, atol=0)


@again.hidden("six steps without a stop", "Which numbers does step 2 draw?")
def straight(ns, rng):  # type: ignore[no-untyped-def]
    state, examples = beginning(rng)
    agree(
        ns.go_on(copied(state), examples, 6), reference(state, examples, 6), "after 6 steps at once"
    )


@again.hidden(
    "stopped after 1, 4 and 7 steps", "What does a step use that comes from steps before?"
)
def stopped(ns, rng):  # type: ignore[no-untyped-def]
    state, examples = beginning(rng)
    want, got = reference(state, examples, 9), copied(state)
    for steps in (1, 4, 7, 9):
        got = ns.go_on(copied(got), examples, steps)
    agree(got, want, "after stops at 1, 4 and 7")


@again.hidden("the checkpoint stays", "Use a checkpoint twice.")
def stays(ns, rng):  # type: ignore[no-untyped-def]
    state, examples = beginning(rng)
    state = reference(state, examples, 3)
    kept = copied(state)
    ns.go_on(state, examples, 6)
    same = all(np.array_equal(state[k], kept[k]) for k in kept)
    expect_that(same, "go_on changed the checkpoint that it was given")


# 3.3.6-c
numbers = Exercise(
    "3.3.6-c", title="How often", kind="predict", points=2,
    needs=["mtbf_hours", "interval_minutes", "overhead", "colleague", "faster"],
)  # fmt: skip
MTBF = 5 * 365 * 86400 / 4096


@numbers.test("the failures", "How often does one of 4,096 fail?")
def failures(ns, rng):  # type: ignore[no-untyped-def]
    expect_that(abs(float(ns.mtbf_hours) * 3600 / MTBF - 1) < 0.01, "mtbf_hours is not right")


@numbers.hidden("interval and loss", "Both times in the same unit.")
def interval(ns, rng):  # type: ignore[no-untyped-def]
    best = np.sqrt(2 * 45 * MTBF)
    got = float(ns.interval_minutes) * 60
    slip = ": that is your colleague's" if abs(got * np.sqrt(2) / best - 1) < 0.01 else ""
    expect_that(abs(got / best - 1) < 0.01, "interval_minutes is not right" + slip)
    expect_that(
        abs(float(ns.overhead) / (45 / best + best / 2 / MTBF) - 1) < 0.01, "overhead is not right"
    )


@numbers.hidden(
    "the colleague and the larger cluster", "Put their t into the loss; C and M cancel."
)
def larger(ns, rng):  # type: ignore[no-untyped-def]
    expect_that(abs(float(ns.colleague) - 1.5 / np.sqrt(2)) < 0.003, "colleague is not right")
    slip = ": the loss depends on C / M, under a root" if float(ns.faster) in (4, 256) else ""
    expect_that(abs(float(ns.faster) - 16) < 0.01, "faster is not right" + slip)


# 3.3.6-d
blame = Exercise("3.3.6-d", title="Who was it?", kind="implement", points=2, needs=["culprits"])


def expect_culprits(ns, lines, size, want):  # type: ignore[no-untyped-def]
    got = [int(r) for r in ns.culprits(list(lines), size)]
    expect_that(got == want, f"for {lines} of {size} ranks, the answer {got} is not right")


@blame.test("one that raised", "It says so itself.")
def raised(ns, rng):  # type: ignore[no-untyped-def]
    lines = ["rank 0 waits for rank 2", "rank 2 raised KeyError", "rank 1 waits for rank 0"]
    expect_culprits(ns, lines, 3, [2])


@blame.hidden("one that was killed", "Who is dead says nothing, and a witness is not guilty.")
def killed(ns, rng):  # type: ignore[no-untyped-def]
    lines = ["rank 0 raised ConnectionError", "rank 3 waits for rank 0", "rank 2 waits for rank 3"]
    expect_culprits(ns, lines, 4, [1])
    size = 14
    dead = sorted(int(r) for r in rng.choice(np.arange(1, size), 2, replace=False))
    lines = [f"rank {r} waits for rank {(r + 1) % size}" for r in range(size) if r not in dead]
    expect_culprits(ns, rng.permutation(lines).tolist(), size, dead)


@blame.hidden("raised and killed together", "There can be more than one.")
def both(ns, rng):  # type: ignore[no-untyped-def]
    lines = ["rank 11 raised MemoryError", "rank 3 raised ConnectionError"]
    lines += [f"rank {r} waits for rank 11" for r in range(12) if r not in (3, 5, 11)]
    expect_culprits(ns, lines, 12, [5, 11])


@blame.hidden("a circle", "Follow the waits as many times as there are ranks: where are you then?")
def circle(ns, rng):  # type: ignore[no-untyped-def]
    waits = {0: 4, 4: 2, 2: 5, 5: 4, 1: 0, 3: 1}
    lines = [f"rank {a} waits for rank {b}" for a, b in waits.items()]
    expect_culprits(ns, lines, 6, [2, 4, 5])
    expect_culprits(ns, rng.permutation(lines).tolist(), 6, [2, 4, 5])


# 3.3.6-e
ordering(
    "3.3.6-e",
    title="Young's rule",
    points=2,
    name="proof",
    steps={"E": "", "B": "", "A": "B", "F": "EA", "D": "F", "H": "D"},
    wrong={
        "C": "a failure early in an interval costs less than one at its end; the mean is half",
        "G": "the other term grows with t",
    },
    hint="Two costs, their sum, a bound for the sum, and when the bound is reached.",
)
