"""Meshes: who is in which group, and all kinds of parallelism together against one process."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook import backend, nn
from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.distributed import RankError, run
from lmbook.models.gpt import GPT, Block, GPTConfig
from lmbook.optim import AdamW
from lmbook.parallel import (
    FullyShardedDataParallel,
    Mesh,
    Pipeline,
    all_reduce_gradients,
    context_parallel,
    full_tensors,
    gpt_layers,
    gpt_plan,
    parallelize_module,
    vocab_parallel_cross_entropy,
)

CONFIG = GPTConfig(vocab_size=12, block_size=6, n_layer=2, n_head=2, n_embd=8)
MICRO = 2


def tokens(step, i, parts):
    x = np.random.default_rng([5, step]).integers(0, 12, (8, 7))
    return x[8 * i // parts : 8 * (i + 1) // parts]


def serial(steps):
    with backend.using(np.random.default_rng([0, 0])):
        model = GPT(CONFIG).double()
    optimizer = AdamW(model.parameters(), lr=0.01)
    for s in range(steps):
        x = tokens(s, 0, 1)
        optimizer.zero_grad()
        F.cross_entropy(
            model(Tensor(x[:, :-1])).reshape(-1, 12), Tensor(x[:, 1:].reshape(-1))
        ).backward()
        optimizer.step()
    return model.state_dict()


def test_groups_of_a_mesh() -> None:
    def fn(comm):
        mesh = Mesh(comm, dp=2, pp=2, tp=3)
        both = mesh.group("dp", "tp")
        return mesh.place, {k: mesh[k].ranks for k in mesh.axes}, both.ranks, repr(mesh)

    told = run(fn, 12)
    assert told.log.total_messages == 0
    assert told[7][0] == {"dp": 1, "pp": 0, "tp": 1}
    assert told[7][1] == {"dp": (1, 7), "pp": (7, 10), "tp": (6, 7, 8)}
    assert told[7][2] == (0, 1, 2, 6, 7, 8)
    assert told[7][3] == "Mesh(dp=2, pp=2, tp=3, at {'dp': 1, 'pp': 0, 'tp': 1})"
    for match, make in {
        "axes {'dp': 2, 'tp': 2} make 4 ranks, the communicator has 3": lambda c: Mesh(
            c, dp=2, tp=2
        ),
        "there is no axis 'pp'": lambda c: Mesh(c, dp=3)["pp"],
    }.items():
        with pytest.raises(RankError, match=match):
            run(make, 3)


def three_d(comm, steps, dp, pp, tp, sp, schedule):
    """The training script: a few lines for each kind."""
    mesh = Mesh(comm, dp=dp, pp=pp, tp=tp)
    model = GPT(CONFIG).double()
    parallelize_module(model, mesh["tp"], gpt_plan(CONFIG.n_head, sp))
    pipe = Pipeline(gpt_layers(model), mesh["pp"], schedule)
    if dp > 1:  # the same start in all replicas
        for p in pipe.parameters():
            p.data[...] = mesh["dp"].broadcast(p.data)
    optimizer = AdamW(pipe.parameters(), lr=0.01)
    for s in range(steps):
        x = [tokens(s, mesh.place["dp"] * MICRO + i, dp * MICRO) for i in range(MICRO)]
        optimizer.zero_grad()
        pipe.step(
            [Tensor(m[:, :-1]) for m in x],
            lambda y, i, x=x: vocab_parallel_cross_entropy(y, Tensor(x[i][:, 1:]), mesh["tp"]),
        )
        all_reduce_gradients(pipe, mesh["dp"])
        optimizer.step()
    mine = {id(p) for p in pipe.parameters()}
    whole = full_tensors(model, mesh["tp"])
    names = {n for n, p in model.named_parameters() if id(p) in mine}
    return {n: x for n, x in whole.items() if n in names}


@pytest.mark.parametrize(
    ("dp", "pp", "tp", "sp", "schedule"),
    [
        (2, 1, 2, False, "gpipe"),
        (1, 2, 2, True, "1f1b"),
        (2, 2, 1, False, "zero_bubble"),
        (2, 2, 2, True, "1f1b"),
        (2, 2, 2, False, "gpipe"),
    ],
)
def test_data_pipeline_and_tensor_parallel_together_train_as_one_process(
    dp, pp, tp, sp, schedule
) -> None:
    want = serial(3)
    for mode in ("buffering", "rendezvous"):
        told = run(three_d, dp * pp * tp, 3, dp, pp, tp, sp, schedule, mode=mode)
        assert {n for t in told for n in t} == set(want)
        for t in told:
            for n, x in t.items():
                np.testing.assert_allclose(x, want[n], atol=1e-11, err_msg=n)


def test_fully_sharded_and_tensor_parallel_together() -> None:
    def fn(comm, steps):
        mesh = Mesh(comm, dp=2, tp=2)
        model = parallelize_module(GPT(CONFIG).double(), mesh["tp"], gpt_plan(CONFIG.n_head))
        sharded = FullyShardedDataParallel(model, mesh["dp"], (Block,))
        optimizer = AdamW(sharded.parameters(), lr=0.01)
        for s in range(steps):
            x = tokens(s, mesh.place["dp"], 2)
            optimizer.zero_grad()
            vocab_parallel_cross_entropy(
                sharded(Tensor(x[:, :-1])), Tensor(x[:, 1:]), mesh["tp"]
            ).backward()
            optimizer.step()
        for unit in sharded.units:
            unit.gather()
        return full_tensors(model, mesh["tp"])

    want = serial(3)
    for told in run(fn, 4, 3):
        for n in want:
            np.testing.assert_allclose(told[n], want[n], atol=1e-11, err_msg=n)


@pytest.mark.parametrize("kind", ["ring", "gathered"])
@pytest.mark.parametrize("balanced", [True, False])
def test_context_data_and_tensor_parallel_together_on_the_gpt(kind, balanced) -> None:
    config = GPTConfig(vocab_size=12, block_size=8, n_layer=2, n_head=2, n_embd=8)

    def text(step):
        return np.random.default_rng([6, step]).integers(0, 12, (4, 9))

    def fn(comm, dp, cp, tp):
        mesh = Mesh(comm, dp=dp, cp=cp, tp=tp)
        model = GPT(config).double()
        for p in model.parameters():
            p.data[...] = comm.broadcast(p.data)
        parallelize_module(model, mesh["tp"], gpt_plan(config.n_head))
        own = context_parallel(model, mesh["cp"], config.block_size, kind, balanced)
        optimizer = AdamW(model.parameters(), lr=0.01)
        replicas = mesh.group("dp", "cp")
        for s in range(3):
            rows = slice(4 * mesh.place["dp"] // dp, 4 * (mesh.place["dp"] + 1) // dp)
            x = text(s)[rows]
            optimizer.zero_grad()
            logits = model(Tensor(x[:, :-1][:, own]), positions=own)
            vocab_parallel_cross_entropy(logits, Tensor(x[:, 1:][:, own]), mesh["tp"]).backward()
            all_reduce_gradients(model, replicas)
            optimizer.step()
        return full_tensors(model, mesh["tp"])

    with backend.using(np.random.default_rng([0, 0])):
        model = GPT(config).double()
    optimizer = AdamW(model.parameters(), lr=0.01)
    for s in range(3):
        x = text(s)
        optimizer.zero_grad()
        F.cross_entropy(
            model(Tensor(x[:, :-1])).reshape(-1, 12), Tensor(x[:, 1:].reshape(-1))
        ).backward()
        optimizer.step()
    want = model.state_dict()
    for sizes in ((1, 2, 1), (1, 4, 1), (2, 2, 2)):
        for told in run(fn, int(np.prod(sizes)), *sizes):
            for n in want:
                np.testing.assert_allclose(told[n], want[n], atol=1e-11, err_msg=n)


def test_context_parallel_says_what_does_not_fit() -> None:
    for match, make in {
        "7 positions do not divide into 4 equal": lambda c: context_parallel(GPT(CONFIG), c, 7),
        "kind 'tree' is neither": lambda c: context_parallel(GPT(CONFIG), c, 8, "tree"),
        "Linear has no module with a method attend": lambda c: context_parallel(
            nn.Linear(2, 2), c, 8
        ),
    }.items():
        with pytest.raises(RankError, match=match):
            run(make, 2)

    def drops(comm):
        model = GPT(GPTConfig(12, 8, 1, 2, 8, dropout=0.5))
        own = context_parallel(model, comm, 8)
        model(Tensor(np.zeros((1, 4), int)), positions=own)

    with pytest.raises(RankError, match="attention with a mask or dropout is not divided"):
        run(drops, 2)
