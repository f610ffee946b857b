"""Exercises of section 2.2.2, recurrent networks and LSTM."""

import numpy as np

from lmbook import nn
from lmbook.autograd.creation import tensor
from lmbook.grader import Exercise, expect, expect_that, ordering

# 2.2.2-a
through_time = Exercise(
    "2.2.2-a", title="Back through time", kind="implement", points=2, needs=["gradient"]
)


def slopes(xs, w, u):  # type: ignore[no-untyped-def]
    """The reference, by lmbook's autograd."""
    a, b = tensor(float(w), requires_grad=True), tensor(float(u), requires_grad=True)
    h = tensor(0.0)
    for x in xs:
        h = (a * float(x) + b * h).tanh()
    h.backward()
    return a.grad.item() if a.grad else 0.0, b.grad.item() if b.grad else 0.0


@through_time.test("one step", "With h = 0 before it, what does u contribute?")
def one_step(ns, rng):  # type: ignore[no-untyped-def]
    got = ns.gradient(np.array([2.0]), 0.5, 3.0)
    expect(np.array(got), [2 * (1 - np.tanh(1.0) ** 2), 0.0], of="gradient([2], 0.5, 3)")


@through_time.hidden("several steps", "Every step adds its part to both gradients.")
def several(ns, rng):  # type: ignore[no-untyped-def]
    for steps in (2, 3, 10):
        xs, (w, u) = rng.normal(size=steps), rng.uniform(0.3, 1.2, size=2)
        got = ns.gradient(xs.copy(), w, u)
        expect(np.array(got), slopes(xs, w, u), of=f"gradient of {steps} steps", rtol=1e-6)


# 2.2.2-b
step = Exercise("2.2.2-b", title="Three faults", kind="debug", points=2, needs=["lstm_step"])


def _cell(rng):  # type: ignore[no-untyped-def]
    w, u, b = rng.normal(size=(20, 3)), rng.normal(size=(20, 5)), rng.normal(size=20)
    cell = nn.LSTMCell(3, 5).double()
    cell.weight_ih.data[...], cell.weight_hh.data[...] = w, u
    cell.bias_ih.data[...], cell.bias_hh.data[...] = b, 0
    return cell, w, u, b


@step.hidden("the cell state", "Which gate belongs to what was there, and which to what is new?")
def cell_state(ns, rng):  # type: ignore[no-untyped-def]
    cell, *weights = _cell(rng)
    x, h, c = rng.normal(size=3), rng.normal(size=5), rng.normal(size=5)
    want = cell(tensor(x[None]), (tensor(h[None]), tensor(c[None])))[1].data[0]
    expect(ns.lstm_step(x, h, c, *weights)[1], want, of="the new c", rtol=1e-6)


@step.hidden("the hidden state", "Can your h be negative?")
def hidden_state(ns, rng):  # type: ignore[no-untyped-def]
    cell, *weights = _cell(rng)
    x, h, c = rng.normal(size=3), rng.normal(size=5), rng.normal(size=5)
    want = cell(tensor(x[None]), (tensor(h[None]), tensor(c[None])))[0].data[0]
    expect(ns.lstm_step(x, h, c, *weights)[0], want, of="the new h", rtol=1e-6)


# 2.2.2-c
count = Exercise("2.2.2-c", title="Counting gates", kind="predict", points=1, needs=["lstm", "gru"])


def _size(layer: nn.Module) -> int:
    return sum(p.numel() for p in layer.parameters())


@count.test("the LSTM", "Four parts, each with weights from the input and from the state.")
def of_lstm(ns, rng):  # type: ignore[no-untyped-def]
    right = _size(nn.LSTM(10, 20))
    slip = ""
    if ns.lstm == right - 4 * 20:
        slip = ": count two biases"
    elif ns.lstm * 4 == right:
        slip = ": that is a single part"
    expect_that(float(ns.lstm) == right, "lstm is not right" + slip)


@count.test("the GRU", "How many parts has it?")
def of_gru(ns, rng):  # type: ignore[no-untyped-def]
    expect_that(float(ns.gru) == _size(nn.GRU(10, 20)), "gru is not right")


# 2.2.2-d
ordering(
    "2.2.2-d",
    title="Why it vanishes",
    points=2,
    name="proof",
    steps={"E": "", "B": "", "C": "E", "A": "BE", "F": "AC"},
    wrong={
        "D": "it is at most that: two matrices may shrink each other's favourite directions",
        "G": "eigenvalues of a product are in general not products of eigenvalues",
    },
    hint="One step first, then all of them, then the size of a factor.",
)
