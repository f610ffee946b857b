"""A GPT of experts on meshes of many axes, in mixed precision, with recomputation, against one process."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from lmbook import backend
from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.distributed import run
from lmbook.models.gpt import GPT, GPTConfig
from lmbook.optim import AdamW
from lmbook.parallel import (
    ExpertParallel,
    Mesh,
    Pipeline,
    average_gradients,
    broadcast_parameters,
    checkpoint,
    context_parallel,
    expert_plan,
    full_tensors,
    gpt_layers,
    gpt_plan,
    moe_plan,
    parallelize_module,
    vocab_parallel_cross_entropy,
)
from lmbook.training.precision import MixedPrecision

V, T = 12, 8
CONFIG = GPTConfig(
    V, T, n_layer=2, n_head=2, n_embd=8, num_experts=4, moe_intermediate_size=6
)  # fmt: skip


def tokens(step, i=0, parts=1):
    x = np.random.default_rng([9, step]).integers(0, V, (8, T + 1))
    return x[8 * i // parts : 8 * (i + 1) // parts]


def recompute(model):
    for block in model.h:
        object.__setattr__(block, "forward", partial(checkpoint, block.forward))


def serial(steps, dtype=np.float64, precision=None, micro=1, **changes):
    """One process, the batch in `micro` parts one after the other."""
    with backend.using(np.random.default_rng([0, 0])):
        model = GPT(GPTConfig(**{**vars(CONFIG), **changes})).to(dtype)
    if precision:
        MixedPrecision(model, precision)
    optimizer = AdamW(model.parameters(), lr=0.01)
    for s in range(steps):
        optimizer.zero_grad()
        for i in range(micro):
            x = tokens(s, i, micro)
            y = model(Tensor(x[:, :-1])).reshape(-1, V)
            (F.cross_entropy(y, Tensor(x[:, 1:].reshape(-1))) * (1 / micro)).backward()
        optimizer.step()
        for block in model.h:
            if block.mlp.bias_rate:
                block.mlp.update_bias()
    return model.state_dict()


def whole(model, mesh, mine=None):
    """This rank's part of the state under the names of the whole model; experts by their own number."""
    state = full_tensors(model, mesh["tp"])
    if mine is not None:
        names = {n for n, p in model.named_parameters() if id(p) in mine}
        state = {n: x for n, x in state.items() if n in names}
    found = {}
    for name, x in state.items():
        at, inside, rest = name.partition(".experts.")
        if inside:
            layer = model.h[int(at.split(".")[1])].mlp
            number, _, rest = rest.partition(".")
            name = f"{at}.experts.{int(number) + layer.ends[layer.comm.rank]}.{rest}"
        found[name] = x
    return found


def composed(comm, steps, sizes, micro=2, dtype=np.float64, precision=None, again=False):
    """The training script: a few lines for each axis."""
    mesh = Mesh(comm, **{"dp": 1, "pp": 1, "cp": 1, "ep": 1, "tp": 1, **sizes})
    model = GPT(CONFIG).to(dtype)
    broadcast_parameters(model, comm)
    parallelize_module(model, mesh["tp"], moe_plan(CONFIG.n_head))
    parallelize_module(model, mesh["ep"], expert_plan())
    own = np.arange(T)
    if mesh["cp"].size > 1:
        own = context_parallel(model, mesh["cp"], T)
    pipe = Pipeline(gpt_layers(model, own), mesh["pp"])
    if again:
        recompute(model)
    if precision:
        MixedPrecision(pipe, precision)
    optimizer = AdamW(pipe.parameters(), lr=0.01)
    batch = mesh.group("dp", "ep")
    parts = batch.size * micro
    for s in range(steps):
        x = [tokens(s, batch.rank * micro + i, parts) for i in range(micro)]
        optimizer.zero_grad()
        pipe.step(
            [Tensor(m[:, :-1][:, own]) for m in x],
            lambda y, i, x=x: vocab_parallel_cross_entropy(
                y, Tensor(x[i][:, 1:][:, own]), mesh["tp"]
            ),
        )
        average_gradients(pipe, mesh.group("dp", "cp", "ep"), mesh.group("dp", "cp"))
        optimizer.step()
    return whole(model, mesh, {id(p) for p in pipe.parameters()})


@pytest.mark.parametrize(
    "sizes",
    [
        {"ep": 4},
        {"dp": 2, "ep": 2},
        {"ep": 2, "tp": 2},
        {"pp": 2, "ep": 2},
        {"pp": 2, "ep": 2, "tp": 2},
        {"dp": 2, "pp": 2, "ep": 2, "tp": 2},
        {"pp": 2, "cp": 2, "ep": 2, "tp": 2},
        {"dp": 2, "pp": 2, "cp": 2, "ep": 2, "tp": 2},
    ],
)
def test_meshes_with_an_expert_axis_train_as_one_process(sizes) -> None:
    want = serial(3)
    for mode in ("buffering", "rendezvous"):
        told = run(composed, int(np.prod(list(sizes.values()))), 3, sizes, 1, mode=mode)
        assert {n for t in told for n in t} == set(want)
        for t in told:
            for n, x in t.items():
                np.testing.assert_allclose(x, want[n], atol=1e-11, err_msg=n)


def test_recomputing_activations_changes_no_bit_on_a_mesh() -> None:
    sizes = {"pp": 2, "ep": 2, "tp": 2}
    plain, again = (run(composed, 8, 2, sizes, 2, np.float32, None, a) for a in (False, True))
    for a, b in zip(plain, again):
        for n in a:
            np.testing.assert_array_equal(a[n], b[n], err_msg=n)


@pytest.mark.parametrize("sizes", [{"dp": 2}, {"ep": 2, "tp": 2}, {"pp": 2, "ep": 2, "tp": 2}])
def test_mixed_precision_under_a_mesh_is_that_of_one_process(sizes) -> None:
    """Sums of rounded products come in another order: bfloat16's spacing, times the learning rate."""
    ranks = int(np.prod(list(sizes.values())))
    want, exact = serial(2, np.float32, "bfloat16"), serial(2, np.float32)
    assert max(np.abs(want[n] - exact[n]).max() for n in want) > 1e-4
    for again in (False, True):
        for told in run(composed, ranks, 2, sizes, 1, np.float32, "bfloat16", again):
            far = [np.abs(x - want[n]).mean() for n, x in told.items()]
            assert max(far) < 2e-3 and np.mean(far) < 2e-4


@pytest.mark.parametrize("ranks", [2, 4])
def test_both_ways_of_balance_are_those_of_one_process(ranks) -> None:
    changes = {"balance_weight": 0.1, "bias_rate": 0.02}

    def fn(comm):
        model = GPT(GPTConfig(**{**vars(CONFIG), **changes})).double()
        broadcast_parameters(model, comm)
        parallelize_module(model, comm, expert_plan())
        optimizer = AdamW(model.parameters(), lr=0.01)
        for s in range(3):
            x = tokens(s, comm.rank, comm.size)
            optimizer.zero_grad()
            y = model(Tensor(x[:, :-1])).reshape(-1, V)
            F.cross_entropy(y, Tensor(x[:, 1:].reshape(-1))).backward()
            average_gradients(model, comm)
            optimizer.step()
            for block in model.h:
                block.mlp.update_bias()
        biases = {f"h.{i}.mlp.expert_bias": b.mlp.expert_bias.data for i, b in enumerate(model.h)}
        state = whole(model, {"tp": comm.group([comm.rank])})
        return state | biases

    want = serial(3, **changes)
    other = serial(3)
    assert np.abs(want["h.0.mlp.gate.weight"] - other["h.0.mlp.gate.weight"]).max() > 1e-4
    for told in run(fn, ranks):
        for n, x in told.items():
            np.testing.assert_allclose(x, want[n], atol=1e-11, err_msg=n)


@pytest.mark.parametrize("kind", ["ring", "gathered"])
def test_experts_may_lie_along_the_context_axis(kind) -> None:
    """Ranks with other positions have tokens of their own, so they can share out the experts, too."""

    def fn(comm):
        mesh = Mesh(comm, dp=2, cp=2)
        model = GPT(CONFIG).double()
        broadcast_parameters(model, comm)
        parallelize_module(model, mesh["cp"], expert_plan())
        own = context_parallel(model, mesh["cp"], T, kind)
        optimizer = AdamW(model.parameters(), lr=0.01)
        for s in range(3):
            x = tokens(s, mesh.place["dp"], 2)
            optimizer.zero_grad()
            y = model(Tensor(x[:, :-1][:, own]), positions=own).reshape(-1, V)
            F.cross_entropy(y, Tensor(x[:, 1:][:, own].reshape(-1))).backward()
            average_gradients(model, mesh.group("dp", "cp"), mesh["dp"])
            optimizer.step()
        return whole(model, {"tp": comm.group([comm.rank])})

    want = serial(3)
    for told in run(fn, 4):
        for n, x in told.items():
            np.testing.assert_allclose(x, want[n], atol=1e-11, err_msg=n)


def test_plans_fit_a_gpt_with_experts() -> None:
    def fn(comm):
        model = GPT(CONFIG)
        parallelize_module(model, comm, expert_plan(1.5))
        return [type(b.mlp) is ExpertParallel and b.mlp.capacity_factor == 1.5 for b in model.h]

    assert run(fn, 2) == [[True, True]] * 2
    assert set(gpt_plan(2)) - set(moe_plan(2)) == {"h.*.mlp.c_fc", "h.*.mlp.c_proj"}
