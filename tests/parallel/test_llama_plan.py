"""The plan for Llama: RMSNorm, rotary positions, grouped queries, SwiGLU, tied and untied output."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook import backend
from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.backend import ShapeError
from lmbook.distributed import RankError, run
from lmbook.models.llama import Llama, LlamaConfig
from lmbook.optim import AdamW
from lmbook.parallel import (
    Mesh,
    Pipeline,
    full_tensors,
    llama_layers,
    llama_plan,
    parallelize_module,
    vocab_parallel_cross_entropy,
)
from lmbook.parallel.tensor_parallel import shared_heads


def config(kv=2, tie=False, experts=0):
    return LlamaConfig(
        vocab_size=13, hidden_size=16, intermediate_size=12, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=kv, max_position_embeddings=8, tie_word_embeddings=tie, num_experts=experts,
    )  # fmt: skip


def tokens(step=0):
    x = np.random.default_rng([4, step]).integers(0, 13, (3, 7))
    return Tensor(x[:, :-1]), Tensor(x[:, 1:])


def serial(c, dtype, steps):
    with backend.using(np.random.default_rng([0, 0])):
        model = Llama(c).to(dtype)
    optimizer = AdamW(model.parameters(), lr=0.01)
    for s in range(steps):
        x, y = tokens(s)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x).reshape(-1, 13), y.reshape(-1))
        loss.backward()
        grads = {n: p.grad.data.copy() for n, p in model.named_parameters()}
        optimizer.step()
    return loss.item(), grads, {n: p.data for n, p in model.named_parameters()}


def parallel(comm, c, dtype, sp, steps):
    model = parallelize_module(Llama(c).to(dtype), comm, llama_plan(c, sp))
    optimizer = AdamW(model.parameters(), lr=0.01)
    for s in range(steps):
        x, y = tokens(s)
        optimizer.zero_grad()
        loss = vocab_parallel_cross_entropy(model(x), y, comm)
        loss.backward()
        grads = full_tensors(model, comm, lambda p: p.grad.data)
        optimizer.step()
    return loss.item(), grads, full_tensors(model, comm)


@pytest.mark.parametrize("sp", [False, True])
@pytest.mark.parametrize(
    ("kv", "tie", "experts"), [(4, False, 0), (2, True, 0), (1, False, 0), (2, False, 2)]
)
@pytest.mark.parametrize("ranks", [2, 4])
def test_llama_trains_as_in_one_process(ranks, kv, tie, experts, sp) -> None:
    if sp and experts:
        with pytest.raises(ValueError, match="experts under sequence parallelism"):
            llama_plan(config(kv, tie, experts), True)
        return
    for dtype, tol in ((np.float64, 1e-13), (np.float32, 3e-5)):
        loss, grads, _ = serial(config(kv, tie, experts), dtype, 1)
        for got, theirs, _ in run(parallel, ranks, config(kv, tie, experts), dtype, sp, 1):
            assert got == pytest.approx(loss, rel=tol)
            assert theirs.keys() == grads.keys()
            for key in grads:
                scale = abs(grads[key]).max() + 1e-30
                np.testing.assert_allclose(
                    theirs[key] / scale, grads[key] / scale, atol=tol, err_msg=key
                )
    end = serial(config(kv, tie, experts), np.float64, 4)[2]
    for _, _, state in run(parallel, ranks, config(kv, tie, experts), np.float64, sp, 4):
        for key in end:
            np.testing.assert_allclose(state[key], end[key], atol=1e-11, err_msg=key)


@pytest.mark.parametrize("tie", [False, True])
@pytest.mark.parametrize("schedule", ["1f1b", "zero_bubble"])
def test_a_pipeline_of_llama_layers_divided_by_tensors(schedule, tie) -> None:
    """2 stages of 2 ranks each: the mean loss of two microbatches, as in one process."""
    c = config(2, tie)

    def fn(comm):
        mesh = Mesh(comm, pp=2, tp=2)
        model = parallelize_module(Llama(c).double(), mesh["tp"], llama_plan(c))
        pipe = Pipeline(llama_layers(model), mesh["pp"], schedule)
        batches = [tokens(s) for s in range(2)]
        pipe.step(
            [x for x, _ in batches],
            lambda y, i: vocab_parallel_cross_entropy(y, batches[i][1], mesh["tp"]),
        )
        mine = {id(p) for p in pipe.parameters()}
        found = full_tensors(
            model, mesh["tp"], lambda p: np.zeros_like(p.data) if p.grad is None else p.grad.data
        )
        kept = {n for n, p in model.named_parameters() if id(p) in mine}
        return {n: g for n, g in found.items() if n in kept}

    with backend.using(np.random.default_rng([0, 0])):
        model = Llama(c).double()
    for s in range(2):
        x, y = tokens(s)
        F.cross_entropy(model(x).reshape(-1, 13), y.reshape(-1)).backward(np.asarray(0.5))
    told = run(fn, 4)
    assert {n for t in told for n in t} == {n for n, _ in model.named_parameters()}
    for t in told:
        for n, p in model.named_parameters():
            if n in t:
                np.testing.assert_allclose(t[n], p.grad.data, atol=1e-13, err_msg=n)


def test_heads_that_do_not_divide() -> None:
    assert [r.tolist() for r in shared_heads(2, 1, 4)] == [[0], [0], [1], [1]]
    with pytest.raises(ShapeError, match="3 ranks do not divide among 2 heads"):
        shared_heads(2, 4, 3)
    with pytest.raises(RankError, match="4 heads do not divide among 3"):
        run(lambda c: parallelize_module(Llama(config()), c, llama_plan(config())), 3)
