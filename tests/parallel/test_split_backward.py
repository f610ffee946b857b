"""The backward pass in two halves: the same bits, the input's gradient first, the weights' later."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook import functional as F
from lmbook import nn
from lmbook.autograd import Tensor
from lmbook.distributed import Network, run
from lmbook.models.gpt import GPT, GPTConfig
from lmbook.parallel import Pipeline, backward_input, checkpoint, simulate, zero_bubble


def models():
    width = 6
    return {
        "mlp": (nn.Sequential(nn.Linear(width, 7), nn.GELU(), nn.Linear(7, width)), (4, width)),
        "norms": (nn.Sequential(nn.LayerNorm(width), nn.RMSNorm(width)), (4, width)),
        "conv": (nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU()), (2, 2, 5, 5)),
        "twice": (Twice(nn.Linear(width, width)), (4, width)),
        "recurrent": (Last(nn.LSTM(width, 5, batch_first=True)), (2, 3, width)),
    }


class Twice(nn.Module):
    """Two layers that are one: their weights get two gradients."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(self.layer(x).tanh())


class Last(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", models())
def test_both_halves_are_the_whole_to_the_bit(name, dtype) -> None:
    model, shape = models()[name]
    model = model.to(dtype)
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=shape).astype(dtype) for _ in range(3)]

    def train(split):
        model.zero_grad()
        inputs, waiting = [], []
        for b in batches:
            x = Tensor(b, requires_grad=True)
            y = model(x)
            g = np.random.default_rng(1).normal(size=y.shape).astype(dtype)
            if split:
                waiting.append(backward_input(y, g))
            else:
                y.backward(g)
            inputs.append(x.grad.data)
        for later in waiting:
            later.backward_weight()
            assert len(later) == 0
        return inputs, [p.grad.data for p in model.parameters()]

    for whole, halves in zip(train(False), train(True)):
        for a, b in zip(whole, halves):
            np.testing.assert_array_equal(a, b)


def test_the_first_half_leaves_the_weights_alone_and_the_second_multiplies_once() -> None:
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
    x = Tensor(np.ones((2, 5), np.float32), requires_grad=True)
    later = backward_input(model(x).sum())
    assert x.grad is not None and len(later) == 2
    assert all(p.grad is None for p in model.parameters())
    later.backward_weight()
    once = [p.grad.data.copy() for p in model.parameters()]
    later.backward_weight()  # nothing is left
    for p, g in zip(model.parameters(), once):
        np.testing.assert_array_equal(p.grad.data, g)


def test_hooks_wait_for_the_second_half_and_a_gpt_waits_but_for_its_positions() -> None:
    gpt = GPT(GPTConfig(11, 5, 2, 2, 6))
    called = []
    for name, p in gpt.named_parameters():
        p.register_post_accumulate_grad_hook(lambda _, name=name: called.append(name))
    later = backward_input(
        F.cross_entropy(gpt(Tensor(np.arange(5)[None])).reshape(5, 11), Tensor(np.arange(5)))
    )
    assert called == ["wpe.weight"]
    later.backward_weight()
    assert set(called) == {n for n, _ in gpt.named_parameters()}


def test_recomputed_layers_have_their_gradients_once() -> None:
    inner = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
    outer = nn.Linear(4, 2)

    def gradients(split):
        for p in (*inner.parameters(), *outer.parameters()):
            p.grad = None
        x = Tensor(np.ones((2, 3), np.float32), requires_grad=True)
        y = outer(checkpoint(inner, x)).square().sum()
        if split:
            backward_input(y).backward_weight()
        else:
            y.backward()
        return [x.grad.data, *(p.grad.data for p in (*inner.parameters(), *outer.parameters()))]

    for a, b in zip(gradients(False), gradients(True)):
        np.testing.assert_array_equal(a, b)


def test_an_output_that_is_the_input() -> None:
    x = Tensor(np.ones(3), requires_grad=True)
    backward_input(x, np.full(3, 2.0)).backward_weight()
    np.testing.assert_array_equal(x.grad.data, 2.0)


def test_a_real_step_takes_the_time_of_the_zero_bubble_timeline() -> None:
    """On the clock of the simulator the weights' half runs while others would wait."""

    def fn(comm, schedule):
        pipe = Pipeline(
            [nn.Linear(3, 3) for _ in range(comm.size)], comm, schedule, seconds=dict.fromkeys("FBW", 1.0)
        )  # fmt: skip
        comm.barrier()
        pipe.step([np.ones((1, 3), np.float32)] * 8, lambda y, i: y.sum())

    network = Network(0.0, 0.0)
    split, whole = (run(fn, 4, s, network=network).log for s in ("zero_bubble", "1f1b"))
    line = simulate(zero_bubble(4, 8), 1.0, 1.0, 1.0)
    assert split.time == line.time == 3 * 8 + 3
    assert whole.time == 3 * (8 + 3)
    want = sorted(
        (s.rank, s.start, s.end, f"{s.action.kind}{s.action.microbatch}") for s in line.spans
    )
    got = sorted((e.rank, e.start, e.end, e.label) for e in split.events if e.kind == "compute")
    assert got == want
