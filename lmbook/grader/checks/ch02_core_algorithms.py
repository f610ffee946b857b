"""Exercises of the page that opens chapter 2: the perceptron and the training loop."""

import numpy as np

from lmbook import functional as F
from lmbook import nn
from lmbook.autograd.creation import tensor
from lmbook.grader import Exercise, expect, expect_unchanged, ordering, predict


def averaged(x, t, passes):  # type: ignore[no-untyped-def]
    """The reference: mean of the weights and of the bias that stood after each example."""
    w, b = np.zeros(x.shape[1]), 0.0
    held = []
    for _ in range(passes):
        for x_i, t_i in zip(x, t):
            if t_i * (w @ x_i + b) <= 0:
                w, b = w + t_i * x_i, b + t_i
            held.append(np.append(w, b))
    mean = np.mean(held, axis=0)
    return mean[:-1], mean[-1]


def draw(rng, rows, columns):  # type: ignore[no-untyped-def]
    """Examples that no plane separates, and answers of plus and minus one."""
    return rng.normal(size=(rows, columns)), rng.choice([-1, 1], size=rows)


# 2.0-a
mean = Exercise(
    "2.0-a",
    title="The averaged perceptron",
    kind="implement",
    points=2,
    needs=["averaged_perceptron"],
)


@mean.test("two examples, one pass", "What are the weights after the first example, and the next?")
def by_hand(ns, rng):  # type: ignore[no-untyped-def]
    # after the first: (2, 0) and 1; the second has z = 1 and t = -1, so then (2, -3) and 0
    w, b = ns.averaged_perceptron(np.array([[2.0, 0.0], [0.0, 3.0]]), np.array([1, -1]), 1)
    expect(w, np.array([2.0, -1.5]), of="the mean weights")
    expect(b, 0.5, of="the mean bias")


@mean.hidden("the mean weights", "Does an example that was right count in the mean?")
def weights(ns, rng):  # type: ignore[no-untyped-def]
    for passes in (1, 4):
        x, t = draw(rng, 30, 5)
        got, _ = ns.averaged_perceptron(x, t, passes)
        expect(got, averaged(x, t, passes)[0], of=f"the mean weights of {passes} passes")


@mean.hidden("the mean bias", "Is the bias averaged as the weights are?")
def bias(ns, rng):  # type: ignore[no-untyped-def]
    x, t = draw(rng, 25, 3)
    _, got = ns.averaged_perceptron(x, t, 3)
    expect(got, averaged(x, t, 3)[1], of="the mean bias")


@mean.hidden("the examples are left as they were", "Does some line write into x or t?")
def untouched(ns, rng):  # type: ignore[no-untyped-def]
    x, t = draw(rng, 12, 4)
    expect_unchanged(lambda x, t: ns.averaged_perceptron(x, t, 2), x, t, of="averaged_perceptron")


# 2.0-b
loop = Exercise(
    "2.0-b", title="A loop that only seems to work", kind="debug", points=2, needs=["train"]
)


def trained(rng, rows, size, epochs, train=None):  # type: ignore[no-untyped-def]
    """Weights of one layer after training, by `train` and by the reference: W -= rate * gradient."""
    x, y = rng.normal(size=(rows, 4)), rng.integers(0, 3, size=rows)
    start = {"weight": rng.normal(size=(3, 4)), "bias": rng.normal(size=3)}
    layers = [nn.Linear(4, 3).double() for _ in range(2)]
    for layer in layers:
        layer.load_state_dict(start)
    theirs, ours = layers
    train(theirs, x, y, epochs, size, 0.5)
    for _ in range(epochs):
        for i in range(0, rows, size):
            loss = F.cross_entropy(ours(tensor(x[i : i + size])), tensor(y[i : i + size]))
            ours.zero_grad()
            loss.backward()
            for p in ours.parameters():
                assert p.grad is not None
                p.data -= 0.5 * p.grad.data
    return theirs.weight.data, ours.weight.data


def compare(ns, rng, rows: int, size: int, epochs: int) -> None:  # type: ignore[no-untyped-def]
    got, want = trained(rng, rows, size, epochs, ns.train)
    expect(got, want, of=f"the weights after {epochs} epochs of {rows} rows in batches of {size}")


@loop.hidden("all rows in one batch", "Which rows are left out, and when?")
def one_batch(ns, rng):  # type: ignore[no-untyped-def]
    compare(ns, rng, rows=8, size=8, epochs=1)


@loop.hidden(
    "a last batch that is smaller", "How often does the loop run for 10 rows and batches of 4?"
)
def uneven(ns, rng):  # type: ignore[no-untyped-def]
    compare(ns, rng, rows=10, size=4, epochs=1)


@loop.hidden("several epochs", "What does `backward` do with a gradient that is already there?")
def several(ns, rng):  # type: ignore[no-untyped-def]
    compare(ns, rng, rows=12, size=4, epochs=3)


# 2.0-c
CORNERS = np.array([(0, 0), (0, 1), (1, 0), (1, 1)])
OR = (-1, 1, 1, 1)


def _run(zero_is_wrong: bool = True) -> tuple[int, int]:
    """Corrections, and passes until one without any, beginning with zeros."""
    w, b, total = np.zeros(2), 0, 0
    for passes in range(1, 100):
        before = total
        for x, t in zip(CORNERS, OR):
            z = t * (w @ x + b)
            if z < 0 or (zero_is_wrong and z == 0):
                w, b, total = w + t * x, b + t, total + 1
        if total == before:
            return total, passes
    raise AssertionError("a plane separates these corners")


predict(
    "2.0-c",
    title="Learning *or* on paper",
    points=1,
    name="corrections",
    answer=lambda: _run()[0],
    hint="Keep a table: example, sum, weights, bias. A sum of exactly zero is a mistake too.",
    mistakes={
        "a sum of exactly zero is a mistake too": lambda: _run(zero_is_wrong=False)[0],
        "these are the passes; count the corrections": lambda: _run()[1],
    },
)

# 2.0-d
ordering(
    "2.0-d",
    title="Why the perceptron must arrive",
    points=2,
    name="proof",
    steps={"E": "", "B": "E", "G": "", "A": "G", "D": "BA", "F": "D"},
    wrong={
        "C": "after a correction the same example may still be wrong, if its sum was far off",
        "H": "a correction may make other examples wrong, so their number can rise",
    },
    hint="Follow two numbers: the product of u and w, and the length of w.",
)
