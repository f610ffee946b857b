"""Tensor and sequence parallel against one process, for layers and for the book's GPT."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

from lmbook import backend, nn
from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.backend import ShapeError
from lmbook.distributed import RankError, cost, run
from lmbook.models.gpt import GPT, GPTConfig
from lmbook.optim import AdamW
from lmbook.parallel import (
    ColumnParallelLinear,
    RowParallelLinear,
    VocabParallelEmbedding,
    full_tensors,
    gpt_plan,
    heads,
    parallelize_module,
    vocab_parallel_cross_entropy,
)
from lmbook.parallel import differentiable as d

CONFIG = GPTConfig(vocab_size=13, block_size=6, n_layer=2, n_head=4, n_embd=8)
TOL = {np.float64: 1e-13, np.float32: 3e-5}


def tokens(step):
    x = np.random.default_rng([4, step]).integers(0, 13, (3, 7))
    return Tensor(x[:, :-1]), Tensor(x[:, 1:])


def serial(steps, dtype, bias=True):
    with backend.using(np.random.default_rng([0, 0])):
        model = GPT(_config(bias)).to(dtype)
    optimizer = AdamW(model.parameters(), lr=0.01)
    for s in range(steps):
        x, y = tokens(s)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x).reshape(-1, 13), y.reshape(-1))
        loss.backward()
        grads = {n: p.grad.data.copy() for n, p in model.named_parameters()}
        optimizer.step()
    return loss.item(), grads, model.state_dict()


def _config(bias):
    return GPTConfig(**{**vars(CONFIG), "bias": bias})


def parallel(comm, steps, dtype, sp, bias=True):
    model = GPT(_config(bias)).to(dtype)
    parallelize_module(model, comm, gpt_plan(4, sp))
    optimizer = AdamW(model.parameters(), lr=0.01)
    for s in range(steps):
        x, y = tokens(s)
        optimizer.zero_grad()
        loss = vocab_parallel_cross_entropy(model(x), y, comm)
        loss.backward()
        grads = full_tensors(model, comm, lambda p: p.grad.data)
        optimizer.step()
    return loss.item(), grads, full_tensors(model, comm), model.num_parameters()


@pytest.mark.parametrize("sp", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_the_gpt_has_the_gradients_and_the_weights_of_one_process(ranks, dtype, sp) -> None:
    for bias in (True, False):
        loss, grads, _ = serial(1, dtype, bias)
        for got, theirs, _, _ in run(parallel, ranks, 1, dtype, sp, bias):
            assert got == pytest.approx(loss, rel=TOL[dtype])
            assert theirs.keys() == grads.keys()
            for key in grads:
                scale = abs(grads[key]).max() + 1e-30
                np.testing.assert_allclose(
                    theirs[key] / scale, grads[key] / scale, atol=TOL[dtype], err_msg=key
                )
    told = run(parallel, ranks, 5, dtype, sp)
    whole = sum(g.size for g in grads.values())
    assert told[0][3] < whole * (0.35 + 0.75 / ranks) or ranks == 1
    end = serial(5, dtype)[2]
    for _, _, state, _ in told:
        for key in end:
            np.testing.assert_allclose(
                state[key], end[key], atol=1e-11 if dtype is np.float64 else 2e-3
            )
            np.testing.assert_array_equal(state[key], told[0][2][key])


def test_three_ranks_with_three_heads_uneven_sequence_and_vocabulary() -> None:
    def fn(comm, sp):
        model = GPT(GPTConfig(vocab_size=11, block_size=5, n_layer=1, n_head=3, n_embd=6)).double()
        x = np.random.default_rng(0).integers(0, 11, (2, 6))
        x, y = Tensor(x[:, :-1]), Tensor(x[:, 1:])
        if comm.size == 1:
            loss = F.cross_entropy(model(x).reshape(-1, 11), y.reshape(-1))
        else:
            parallelize_module(model, comm, gpt_plan(3, sp))
            loss = vocab_parallel_cross_entropy(model(x), y, comm)
        loss.backward()
        return full_tensors(model, comm, lambda p: p.grad.data)

    want = run(fn, 1, False)[0]
    for sp in (False, True):
        sim = run(fn, 3, sp)
        for key in want:
            np.testing.assert_allclose(sim[2][key], want[key], atol=1e-14)


@pytest.mark.parametrize("mode", ["buffering", "rendezvous"])
def test_a_block_takes_four_all_reduces_and_sequence_parallelism_no_byte_more(mode) -> None:
    def fn(comm, layers, sp):
        model = GPT(GPTConfig(13, 6, layers, 4, 8)).double()
        parallelize_module(model, comm, gpt_plan(4, sp))
        x, y = tokens(0)
        comm.barrier()
        vocab_parallel_cross_entropy(model(x), y, comm).backward()

    def weights(layers):
        return sum(p.data.nbytes for p in GPT(GPTConfig(13, 6, layers, 4, 8)).double().parameters())

    for ranks in (2, 4) if mode == "buffering" else (2,):
        n = 3 * 6 * 8 * 8  # N T E numbers of 8 bytes
        start = (ranks - 1) * (weights(2) - weights(1))
        for sp in (False, True):
            few, more = (run(fn, ranks, k, sp, mode=mode).log.total_bytes for k in (1, 2))
            small = 6 * 8 * 8 if sp else 0  # two norms (4 E) and two biases after sums (2 E)
            extra = cost("all_reduce", "ring", ranks, small).bytes
            assert more - few - start == 4 * cost("all_reduce", "ring", ranks, n).bytes + extra


def gathered(comm, again, dtype, width=4, bias=True):
    """A GPT under sequence parallelism: loss and gradients of this rank, bit by bit."""
    model = GPT(GPTConfig(13, 6, 2, width, 8, bias=bias)).to(dtype)
    parallelize_module(model, comm, gpt_plan(width, True, again))
    x, y = tokens(0)
    loss = vocab_parallel_cross_entropy(model(x), y, comm)
    loss.backward()
    return loss.item(), {n: p.grad.data.copy() for n, p in model.named_parameters()}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("ranks", "width"), [(2, 4), (4, 4)])  # 6 positions: even and uneven
def test_gathering_again_changes_no_bit(ranks, width, dtype, bias) -> None:
    kept, again = (run(gathered, ranks, how, dtype, width, bias) for how in (False, True))
    for (loss, grads), (other, theirs) in zip(kept, again, strict=True):
        assert loss == other and grads.keys() == theirs.keys()
        for key, value in grads.items():
            np.testing.assert_array_equal(theirs[key], value, err_msg=key)


@pytest.mark.parametrize("ranks", [2, 3])
def test_gathering_again_takes_ten_halves_of_an_all_reduce_in_place_of_eight(ranks) -> None:
    def fn(comm, layers, again):
        model = GPT(GPTConfig(13, 6, layers, 6, 12)).double()
        parallelize_module(model, comm, gpt_plan(6, True, again))
        x, y = tokens(0)
        vocab_parallel_cross_entropy(model(x), y, comm).backward()

    half = cost("all_reduce", "ring", ranks, 3 * 6 * 12 * 8).bytes // 2
    for layers in (1, 2):
        kept, again = (run(fn, ranks, layers, how).log.total_bytes for how in (False, True))
        assert again - kept == 2 * layers * half


def kept_by_a_block(comm, again, width=64, length=96):
    """Bytes that a rank's graph of one block holds between the two passes, in activations (N, T, E)."""
    model = GPT(GPTConfig(16, length, 1, 4, width))
    parallelize_module(model, comm, gpt_plan(4, True, again))
    x = np.random.default_rng(0).normal(size=(4, length // comm.size, width)).astype(np.float32)
    model.h[0](Tensor(x))  # what is loaded and compiled once does not count
    gc.collect()
    comm.barrier()
    before = tracemalloc.get_traced_memory()[0]
    comm.barrier()
    y = model.h[0](Tensor(x))
    comm.barrier()
    found = tracemalloc.get_traced_memory()[0] - before
    comm.barrier()
    assert y.requires_grad
    return found / comm.size / (4 * 4 * length * width)


def test_gathering_again_keeps_a_share_of_two_inputs() -> None:
    """Without: 2 + c / p activations, two inputs stay whole. With: (2 + c) / p, as the formula says."""
    total = []
    for ranks in (2, 4):
        tracemalloc.start()
        kept, again = (run(kept_by_a_block, ranks, how)[0] for how in (False, True))
        tracemalloc.stop()
        assert kept - again == pytest.approx(2 - 2 / ranks, abs=0.1)
        total.append(ranks * again)
    assert total[0] == pytest.approx(total[1], rel=0.06)


def test_layers_by_themselves() -> None:
    def fn(comm):
        backend.manual_seed(5)
        first, second = nn.Linear(5, 7), nn.Linear(7, 4)
        x = Tensor(
            np.random.default_rng(1).normal(size=(2, 3, 5)).astype(np.float32), requires_grad=True
        )
        if comm.size == 1:
            y, z = first(x), second(F.gelu(first(x)))
        else:
            column = ColumnParallelLinear(first, comm)
            y = ColumnParallelLinear(first, comm, gather_output=True)(x)
            z = RowParallelLinear(second, comm)(F.gelu(column(x)))
        (z.square().sum() + y.square().sum()).backward()
        table = nn.Embedding(5, 2)
        return (
            y.data,
            z.data,
            x.grad.data,
            (VocabParallelEmbedding(table, comm) if comm.size > 1 else table)(
                Tensor(np.arange(5))
            ).data,
        )

    want = run(fn, 1)[0]
    for ranks in (2, 3, 4):  # 7 and 5 do not divide
        for got in run(fn, ranks):
            for a, b in zip(got, want):
                np.testing.assert_allclose(a, b, atol=2e-6)


def test_parallel_cross_entropy_is_the_whole_one_even_with_large_logits() -> None:
    def fn(comm):
        rng = np.random.default_rng(2)
        logits, target = rng.normal(size=(6, 10)) * 500, rng.integers(0, 10, 6)
        part = np.array_split(np.arange(10), comm.size)[comm.rank]
        ends = [10 * r // comm.size for r in range(comm.size + 1)]
        mine = Tensor(logits[:, ends[comm.rank] : ends[comm.rank + 1]].copy(), requires_grad=True)
        loss = vocab_parallel_cross_entropy(mine, Tensor(target), comm)
        loss.backward()
        return loss.item(), np.concatenate(comm.all_gather(mine.grad.data), axis=1), len(part)

    rng = np.random.default_rng(2)
    whole = Tensor(rng.normal(size=(6, 10)) * 500, requires_grad=True)
    loss = F.cross_entropy(whole, Tensor(rng.integers(0, 10, 6)))
    loss.backward()
    for ranks in (1, 2, 3, 4):
        for got, grad, _ in run(fn, ranks):
            assert got == pytest.approx(loss.item(), rel=1e-14)
            np.testing.assert_allclose(grad, whole.grad.data, atol=1e-15)


@pytest.mark.parametrize(
    "name", ["scatter_to", "gather_from", "gather_sum", "reduce_scatter", "copy_to", "reduce_from"]
)
def test_each_collective_has_the_gradient_of_its_sum_over_ranks(name) -> None:
    """<g, f(x)> over all ranks changes by <pull(g), dx>: f is linear, so both sides are equal exactly.

    `gather_from`, `reduce_from` and `scatter_to` assume that what follows (or comes before) is the same on
    all ranks, so there one rank's side counts.
    """
    dims = () if name in ("copy_to", "reduce_from") else (1,)

    def fn(comm):
        rng = np.random.default_rng([3, 0 if name in ("copy_to", "scatter_to") else comm.rank])
        x = Tensor(
            rng.integers(-5, 5, (2, 3 if name in ("gather_from", "gather_sum") else 6)).astype(
                float
            ),
            True,
        )
        y = getattr(d, name)(x, comm, *dims)
        same = name in ("gather_from", "reduce_from")
        g = (
            np.random.default_rng([9, 0 if same else comm.rank])
            .integers(-5, 5, y.shape)
            .astype(float)
        )
        y.backward(g)
        return (g * y.data).sum(), (x.grad.data * x.data).sum()

    for ranks in (1, 2, 3):
        told = run(fn, ranks)
        left, right = (sum(t[i] for t in told) for i in (0, 1))
        if name in ("gather_from", "reduce_from"):
            left = told[0][0]
        if name in ("copy_to", "scatter_to"):
            right = told[0][1]
        assert left == right != 0


def test_errors() -> None:
    with pytest.raises(ShapeError, match="4 heads do not divide among 3"):
        heads(3, 4, 2, 3)
    for match, fn in {
        r"no module of GPT matches 'h\.\*\.nothing'": lambda c: parallelize_module(
            GPT(CONFIG), c, {"h.*.nothing": None}
        ),
        "2 rows for 3 ranks; every rank": lambda c: VocabParallelEmbedding(nn.Embedding(2, 2), c),
        r"logits \(4, 2\) need targets of shape \(4,\), got \(3,\)": lambda c: (
            vocab_parallel_cross_entropy(Tensor(np.ones((4, 2))), Tensor(np.zeros(3, int)), c)
        ),
        "gather_again needs sequence_parallel=True": lambda c: ColumnParallelLinear(
            nn.Linear(2, 3), c, gather_again=True
        ),
        r"\[1, 1, 3\] rows to send": lambda c: d.all_to_all(
            Tensor(np.ones((4, 2))), c, [1, 1, 3], [1, 1, 3]
        ),
    }.items():
        with pytest.raises(RankError, match=match):
            run(fn, 3)
