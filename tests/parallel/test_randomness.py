"""Dropout under tensor parallelism: alike where ranks hold the same, apart where they do not."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook import backend, nn
from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.distributed import run
from lmbook.models.gpt import GPT, GPTConfig
from lmbook.parallel import (
    checkpoint,
    draw_alike,
    draw_apart,
    full_tensors,
    gpt_plan,
    parallelize_module,
    vocab_parallel_cross_entropy,
)
from lmbook.parallel.randomness import DropoutApart
from lmbook.parallel.tensor_parallel import even

CONFIG = GPTConfig(vocab_size=13, block_size=6, n_layer=2, n_head=4, n_embd=8, dropout=0.3)


def tokens():
    x = np.random.default_rng(4).integers(0, 13, (3, 7))
    return Tensor(x[:, :-1]), Tensor(x[:, 1:])


def parallel(comm, sp, again=False):
    model = parallelize_module(GPT(CONFIG).double(), comm, gpt_plan(4, sp))
    state = backend.default_generator().bit_generator.state
    if again:
        for block in model.h:
            block.forward = lambda x, cache, i, f=block.forward: checkpoint(f, x)
    x, y = tokens()
    loss = vocab_parallel_cross_entropy(model(x), y, comm)
    loss.backward()
    return (
        loss.item(),
        full_tensors(model, comm, lambda p: p.grad.data),
        state,
        full_tensors(model, comm),
    )


class InParts(nn.Module):
    """What p ranks drop of their parts, in one process."""

    def __init__(self, function, ranks, axis):
        super().__init__()
        self.function, self.ranks, self.axis = function, ranks, axis

    def forward(self, *args, **kwargs):
        from lmbook.autograd.ops import cat

        tensors = [a for a in args if isinstance(a, Tensor)]
        others = [a for a in args if not isinstance(a, Tensor)]
        state = backend.default_generator().bit_generator.state
        outs = []
        for r, part in enumerate(even(tensors[0].shape[self.axis], self.ranks)):
            backend.default_generator().bit_generator.state = (
                state  # every rank draws the same seed
            )
            index = (slice(None),) * self.axis + (slice(part[0], part[-1] + 1),)
            with draw_apart(r):
                outs.append(self.function(*(t[index] for t in tensors), *others, **kwargs))
        return cat(outs, self.axis)


def oracle(ranks, sp, state, weights):
    """One process that draws the masks that all ranks draw."""
    model = GPT(CONFIG).double()
    model.load_state_dict(weights)
    for block in model.h:
        block.attn.attend = InParts(block.attn.attend, ranks, 1)
        if sp:
            block.drop = InParts(nn.Dropout(CONFIG.dropout), ranks, 1)
    generator = np.random.default_rng()
    generator.bit_generator.state = state
    with backend.using(generator):
        x, y = tokens()
        loss = F.cross_entropy(model(x).reshape(-1, 13), y.reshape(-1))
    loss.backward()
    return loss.item(), {n: p.grad.data for n, p in model.named_parameters()}


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("sp", [False, True])
@pytest.mark.parametrize("ranks", [2, 4])
def test_one_process_with_the_same_masks_has_the_same_gradients(ranks, sp, again) -> None:
    told = run(parallel, ranks, sp, again)
    loss, grads = oracle(ranks, sp, told[0][2], told[0][3])
    for got, theirs, _, _ in told:
        assert got == pytest.approx(loss, rel=1e-12)
        for key in grads:
            np.testing.assert_allclose(theirs[key], grads[key], atol=1e-13, err_msg=key)


def test_replicated_masks_are_the_same_and_divided_ones_differ() -> None:
    def fn(comm):
        draw_alike(comm)
        x = Tensor(np.ones((50, 40)))
        shared, own = nn.Dropout(0.5), DropoutApart(nn.Dropout(0.5), comm)
        return [shared(x).data, own(x).data, shared(x).data, own(x).data]

    told = run(fn, 3)
    for first, second in ((0, 1), (1, 2), (0, 2)):
        a, b = told[first], told[second]
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[2], b[2])
        for i in (1, 3):
            assert abs((a[i] == b[i]).mean() - 0.5) < 0.05  # as two independent coins
    for r in told:  # no mask is that of another layer
        for i, j in ((0, 1), (0, 2), (1, 3)):
            assert abs((r[i] == r[j]).mean() - 0.5) < 0.05


def test_groups_draw_apart_from_each_other() -> None:
    """Two replicas of two ranks each: masks agree inside a replica, not between them."""

    def fn(comm):
        pair = comm.split(comm.rank // 2)
        draw_alike(pair)
        return backend.default_generator().integers(2**63)

    a, b, c, d = run(fn, 4)
    assert a == b and c == d and a != c


def test_evaluation_drops_nothing() -> None:
    def fn(comm):
        model = parallelize_module(GPT(CONFIG).double(), comm, gpt_plan(4)).eval()
        x, y = tokens()
        return vocab_parallel_cross_entropy(model(x), y, comm).item(), full_tensors(model, comm)

    told = run(fn, 2)
    model = GPT(CONFIG).double().eval()
    model.load_state_dict(told[0][1])
    x, y = tokens()
    want = F.cross_entropy(model(x).reshape(-1, 13), y.reshape(-1)).item()
    assert [t[0] for t in told] == pytest.approx([want, want], rel=1e-13)
