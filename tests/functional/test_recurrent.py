"""Recurrent functions: against PyTorch, and what they say when shapes or types do not fit."""

import numpy as np
import pytest
import torch

from lmbook import Tensor
from lmbook import functional as F
from lmbook.backend import DTypeError, ShapeError
from tests.parity import normal, parity

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def draw(gates, states):
    """Sizes at random: x, both weights, both biases, the initial states.

    The numbers are small enough that no state comes close to 1, where 1 - h^2 loses its digits in
    float32, in PyTorch as here.
    """

    def case(rng):
        t, n, i, h = (int(v) for v in rng.integers(1, [8, 5, 6, 6]))
        return [
            normal(t, n, i, scale=0.3), normal(gates * h, i, scale=0.3),
            normal(gates * h, h, scale=0.3), normal(gates * h, scale=0.3),
            normal(gates * h, scale=0.3), *[normal(n, h, scale=0.5) for _ in range(states)],
        ]  # fmt: skip

    return case


def theirs(mode):
    """PyTorch's whole-sequence function of the same arguments."""

    def run(x, w_ih, w_hh, b_ih, b_hh, *states):
        hx = tuple(s[None] for s in states)
        function = getattr(torch, mode)
        out = function(
            x, hx if mode == "lstm" else hx[0], [w_ih, w_hh, b_ih, b_hh],
            True, 1, 0.0, False, False, False,
        )  # fmt: skip
        return (out[0], *[s[0] for s in out[1:]])

    return run


def test_rnn_tanh():
    parity("functional.rnn", F.rnn, theirs("rnn_tanh"), draw(1, 1))


def test_rnn_relu():
    def relu(*a):
        return F.rnn(*a, nonlinearity="relu")

    parity("functional.rnn, relu", relu, theirs("rnn_relu"), draw(1, 1), finite=False)


def test_lstm():
    parity("functional.lstm", F.lstm, theirs("lstm"), draw(4, 2))


def test_gru():
    parity("functional.gru", F.gru, theirs("gru"), draw(3, 1))


@pytest.mark.parametrize("name", GATES)
def test_second_backward_gives_the_same(name):
    """Nothing that backward needs is overwritten by it."""
    rng, g = np.random.default_rng(0), GATES[name]
    x, w, u = (Tensor(rng.standard_normal(s), True) for s in ((5, 2, 3), (g * 4, 3), (g * 4, 4)))
    loss = sum(y.square().sum() for y in getattr(F, name)(x, w, u)[1:])
    loss.backward(retain_graph=True)
    first = [t.grad.detach().numpy().copy() for t in (x, w, u)]
    loss.backward()
    for t, before in zip((x, w, u), first, strict=True):
        np.testing.assert_array_equal(t.grad.detach().numpy(), 2 * before)


@pytest.mark.parametrize("name", GATES)
def test_long_sequence_float32(name):
    """Rounding does not pile up: 400 steps in float32 stay by PyTorch's float64."""
    rng, g, h = np.random.default_rng(1), GATES[name], 16
    arrays = [rng.uniform(-0.25, 0.25, s) for s in ((400, 3, 5), (g * h, 5), (g * h, h))]
    ours = [Tensor(a.astype(np.float32), True) for a in arrays]
    exact = [torch.tensor(a.astype(np.float32).astype(float), requires_grad=True) for a in arrays]
    zero = torch.zeros(g * h, dtype=torch.float64)
    starts = [torch.zeros(3, h, dtype=torch.float64)] * (2 if name == "lstm" else 1)
    theirs("rnn_tanh" if name == "rnn" else name)(*exact, zero, zero, *starts)[0].sum().backward()
    getattr(F, name)(*ours)[0].sum().backward()
    for a, b in zip(ours, exact, strict=True):
        assert (
            np.abs(a.grad.detach().numpy() - b.grad.numpy()).max()
            < 1e-4 * np.abs(b.grad.numpy()).max()
        )


def test_errors_say_what_fits():
    x, w, u = (Tensor(np.zeros(s, np.float32)) for s in ((5, 2, 3), (16, 3), (16, 4)))
    with pytest.raises(ShapeError, match=r"lstm: weight_ih \(16, 4\) should be \(16, 3\)"):
        F.lstm(x, u, u)
    with pytest.raises(ShapeError, match=r"gru: weight_hh \(16, 4\) should be \(12, 4\)"):
        F.gru(x, w, u)
    with pytest.raises(ShapeError, match=r"h0 \(4, 2\) should be \(2, 4\).*\(batch, hidden\)"):
        F.lstm(x, w, u, h0=Tensor(np.zeros((4, 2), np.float32)))
    with pytest.raises(ShapeError, match=r"bias_hh \(4,\) should be \(16,\)"):
        F.lstm(x, w, u, None, Tensor(np.zeros(4, np.float32)))
    with pytest.raises(ShapeError, match="time, batch, features"):
        F.lstm(Tensor(np.zeros((5, 3), np.float32)), w, u)
    with pytest.raises(ShapeError, match="each at least 1"):
        F.lstm(Tensor(np.zeros((0, 2, 3), np.float32)), w, u)
    with pytest.raises(DTypeError, match="Embedding"):
        F.lstm(Tensor(np.zeros((5, 2, 3), np.int64)), w, u)
    with pytest.raises(DTypeError, match="float64 and weight float32"):
        F.gru(x.double(), w, u)
    with pytest.raises(ValueError, match="choose 'tanh' or 'relu'"):
        F.rnn(x, w, u, nonlinearity="selu")
