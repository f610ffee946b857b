"""Recurrent modules: PyTorch's state_dict loads and gives the same output and gradients."""

import numpy as np
import pytest
import torch

import lmbook
from lmbook import Tensor, nn
from lmbook.backend import ShapeError
from tests.parity import module_parity, normal

CASES = [
    {},
    {"num_layers": 2},
    {"bidirectional": True},
    {"num_layers": 3, "bidirectional": True, "batch_first": True},
    {"bias": False, "batch_first": True},
]
MODULES = ["RNN", "LSTM", "GRU"]


class Flat(nn.Module):
    """A layer with its initial states as separate arguments."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, *states):
        return self.layer(x, states if len(states) == 2 else states[0])


class TorchFlat(torch.nn.Module):
    """The same of PyTorch's."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    forward = Flat.forward


def _label(options):
    return ", ".join(f"{k}={v}" for k, v in options.items()) or "by default"


@pytest.mark.parametrize("options", CASES, ids=_label)
@pytest.mark.parametrize("name", MODULES)
def test_against_torch(name, options):
    torch.manual_seed(0)
    ours, theirs = getattr(nn, name)(3, 4, **options), getattr(torch.nn, name)(3, 4, **options)
    count = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)

    def case(rng):
        t, n = (int(v) for v in rng.integers(1, 6, 2))
        x = (n, t, 3) if options.get("batch_first") else (t, n, 3)
        return [normal(*x), *[normal(count, n, 4) for _ in range(2 if name == "LSTM" else 1)]]

    module_parity(f"nn.{name}, {_label(options)}", Flat(ours), TorchFlat(theirs), case, draws=2)


def test_relu_network():
    options = {"nonlinearity": "relu", "num_layers": 2}
    ours, theirs = nn.RNN(3, 4, **options), torch.nn.RNN(3, 4, **options)
    module_parity("nn.RNN, relu", ours, theirs, [normal(5, 2, 3)], finite=False)


@pytest.mark.parametrize("name", MODULES)
def test_one_sequence_without_batch(name):
    ours, theirs = getattr(nn, name)(3, 4, num_layers=2), getattr(torch.nn, name)(3, 4, 2)
    module_parity(f"nn.{name}, no batch", ours, theirs, [normal(5, 3)])


@pytest.mark.parametrize("name", ["RNNCell", "GRUCell"])
def test_cells(name):
    for bias in (True, False):
        ours, theirs = getattr(nn, name)(3, 4, bias), getattr(torch.nn, name)(3, 4, bias)
        module_parity(
            f"nn.{name}", ours, theirs, [normal(2, 3), normal(2, 4)], [normal(3), normal(4)]
        )


def test_lstm_cell():
    ours, theirs = Flat(nn.LSTMCell(3, 4)), TorchFlat(torch.nn.LSTMCell(3, 4))
    module_parity("nn.LSTMCell", ours, theirs, [normal(2, 3), normal(2, 4), normal(2, 4)])


@pytest.mark.parametrize("name", MODULES)
def test_state_carried_over_equals_one_run(name):
    """Two halves, the second from the first's final states, are the whole; so are single steps."""
    lmbook.manual_seed(0)
    layer = getattr(nn, name)(3, 4).double()
    x = Tensor(np.random.default_rng(0).standard_normal((6, 2, 3)))
    whole, _ = layer(x)
    first, state = layer(x[:2])
    second, _ = layer(x[2:], state)
    np.testing.assert_allclose(
        lmbook.cat([first, second]).detach().numpy(), whole.detach().numpy(), atol=1e-14
    )
    cell = getattr(nn, f"{name}Cell")(3, 4).double()
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    state = None
    for t in range(6):
        state = cell(x[t], state)
        h = state[0] if name == "LSTM" else state
        np.testing.assert_allclose(h.detach().numpy(), whole.detach().numpy()[t], atol=1e-14)


def test_dropout_stands_between_layers_only():
    lmbook.manual_seed(0)
    x = lmbook.randn(7, 2, 3)
    one = nn.LSTM(3, 4, dropout=0.5)
    np.testing.assert_array_equal(one(x)[0].detach().numpy(), one(x)[0].detach().numpy())
    two = nn.LSTM(3, 4, num_layers=2, dropout=0.5)
    assert not np.array_equal(two(x)[0].detach().numpy(), two(x)[0].detach().numpy())
    two.eval()
    np.testing.assert_array_equal(two(x)[0].detach().numpy(), two(x)[0].detach().numpy())


@pytest.mark.parametrize("name", MODULES)
def test_starts_as_torch_does(name):
    """Uniform within 1 / sqrt(hidden): the bound, the mean and the variance."""
    lmbook.manual_seed(0)
    for p in getattr(nn, name)(64, 100, bidirectional=True).parameters():
        assert np.abs(p.detach().numpy()).max() <= 0.1
        if p.ndim == 2:
            assert abs(p.detach().numpy().mean()) < 0.005
            assert p.detach().numpy().var() == pytest.approx(0.01 / 3, rel=0.1)


def test_errors_say_what_fits():
    layer = nn.LSTM(3, 4, batch_first=True)
    x = lmbook.zeros(2, 5, 3)
    with pytest.raises(ShapeError, match=r"LSTM: the input \(2, 5, 7\) must be \(batch, time, 3\)"):
        layer(lmbook.zeros(2, 5, 7))
    with pytest.raises(ShapeError, match=r"shape \(1, 5, 4\).*= \(1, 2, 4\), also if batch_first"):
        layer(x, (lmbook.zeros(1, 5, 4), lmbook.zeros(1, 5, 4)))
    with pytest.raises(TypeError, match=r"pair \(h0, c0\)"):
        layer(x, lmbook.zeros(1, 2, 4))
    with pytest.raises(ValueError, match="at least 1"):
        nn.GRU(3, 0)
    with pytest.raises(ValueError, match=r"not in \[0, 1\)"):
        nn.GRU(3, 4, dropout=1.0)
    with pytest.raises(ValueError, match="'tanh' or 'relu'"):
        nn.RNN(3, 4, nonlinearity="gelu")
    with pytest.raises(ShapeError, match=r"GRUCell: the input \(2, 4\)"):
        nn.GRUCell(3, 4)(lmbook.zeros(2, 4))
