"""Against PyTorch's own tensor parallelism and pipelines, over gloo: the same gradients on every rank."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lmbook import functional as F
from lmbook import nn
from lmbook.autograd import Tensor
from lmbook.distributed import run
from lmbook.parallel import ColumnParallelLinear, Pipeline, RowParallelLinear, interleaved

RNG = np.random.default_rng(0)
W1, B1, W2, B2 = (RNG.normal(size=s) for s in ((8, 6), (8,), (6, 8), (6,)))
X = RNG.normal(size=(4, 3, 6))


def ours(comm):
    first, second = nn.Linear(6, 8).double(), nn.Linear(8, 6).double()
    for layer, w, b in ((first, W1, B1), (second, W2, B2)):
        layer.load_state_dict({"weight": w, "bias": b})
    column, row = ColumnParallelLinear(first, comm), RowParallelLinear(second, comm)
    x = Tensor(X, requires_grad=True)
    y = row(F.gelu(column(x)))
    y.square().sum().backward()
    grads = [p.grad.data for layer in (column, row) for p in (layer.weight, layer.bias)]
    return [y.data, x.grad.data, *grads]


def theirs(comm):
    import torch
    import torch.distributed as dist
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.tensor.parallel import (
        ColwiseParallel,
        RowwiseParallel,
        parallelize_module,
    )

    first, second = torch.nn.Linear(6, 8), torch.nn.Linear(8, 6)
    model = torch.nn.Sequential(first, torch.nn.GELU(), second).double()
    with torch.no_grad():
        for p, v in zip(model.parameters(), (W1, B1, W2, B2)):
            p.copy_(torch.from_numpy(v))
    mesh = DeviceMesh.from_group(
        dist.new_group(backend="gloo"), "cpu"
    )  # of its own: ours listens on the other
    parallelize_module(model, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
    x = torch.tensor(X, requires_grad=True)
    y = model(x)
    y.square().sum().backward()
    grads = [p.grad.to_local().numpy() for p in model.parameters()]
    return [y.detach().numpy(), x.grad.numpy(), *grads]


@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_column_and_row_have_the_parts_of_torch_s(ranks) -> None:
    for mine, other in zip(run(ours, ranks), run(theirs, ranks, backend="torch")):
        for a, b in zip(mine, other, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)


SIZES, MICROBATCHES = [5, 6, 4, 7, 3], 4
INPUTS = RNG.normal(size=(8, 5))
TARGETS = RNG.normal(size=(8, 3))
WEIGHTS = [RNG.normal(size=(b, a)) for a, b in itertools.pairwise(SIZES)]


def our_pipeline(comm, schedule, chunks=1):
    layers = []
    for w in WEIGHTS:
        linear = nn.Linear(w.shape[1], w.shape[0], bias=False).double()
        linear.load_state_dict({"weight": w})
        layers.append(nn.Sequential(linear, nn.Tanh()))
    pipe = Pipeline(layers, comm, schedule, chunks)
    parts = np.split(TARGETS, MICROBATCHES)
    loss = pipe.step(
        [Tensor(x) for x in np.split(INPUTS, MICROBATCHES)],
        lambda y, i: F.mse_loss(y, Tensor(parts[i])),
    )
    return loss, [p.grad.data for p in pipe.parameters()]


def their_pipeline(comm, name):
    import torch
    import torch.distributed as dist
    from torch.distributed import pipelining

    half = len(WEIGHTS) // comm.size
    layers = []
    for w in WEIGHTS[comm.rank * half : (comm.rank + 1) * half]:
        linear = torch.nn.Linear(w.shape[1], w.shape[0], bias=False).double()
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(w))
        layers += [linear, torch.nn.Tanh()]
    module = torch.nn.Sequential(*layers)
    stage = pipelining.PipelineStage(
        module, comm.rank, comm.size, torch.device("cpu"), group=dist.new_group(backend="gloo")
    )
    schedule = getattr(pipelining, name)(stage, MICROBATCHES, loss_fn=torch.nn.functional.mse_loss)
    losses: list = []
    if comm.rank == 0:
        schedule.step(torch.from_numpy(INPUTS))
    else:
        schedule.step(target=torch.from_numpy(TARGETS), losses=losses)
    loss = float(sum(losses)) / MICROBATCHES if losses else None
    return loss, [p.grad.numpy() for p in module.parameters()]


@pytest.mark.parametrize(
    ("schedule", "name"),
    [pytest.param("gpipe", "ScheduleGPipe", marks=pytest.mark.slow), ("1f1b", "Schedule1F1B")],
)
def test_pipelines_have_the_gradients_of_torch_s(schedule, name) -> None:
    mine, other = run(our_pipeline, 2, schedule), run(their_pipeline, 2, name, backend="torch")
    assert mine[1][0] == pytest.approx(other[1][0], rel=1e-13)
    for (_, a), (_, b) in zip(mine, other):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, atol=1e-13)


def their_order(comm, chunks):
    """The interleaved schedule of PyTorch: its actions on this rank, and the gradients that it leaves."""
    import torch
    import torch.distributed as dist
    from torch.distributed import pipelining

    group, stages = dist.new_group(backend="gloo"), []
    for c in range(chunks):
        w = WEIGHTS[c * comm.size + comm.rank]
        linear = torch.nn.Linear(w.shape[1], w.shape[0], bias=False).double()
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(w))
        module = torch.nn.Sequential(linear, torch.nn.Tanh())
        place = c * comm.size + comm.rank
        stages.append(
            pipelining.PipelineStage(
                module, place, comm.size * chunks, torch.device("cpu"), group=group
            )
        )
    mse = torch.nn.functional.mse_loss
    schedule = pipelining.ScheduleInterleaved1F1B(stages, MICROBATCHES, loss_fn=mse)
    if comm.rank == 0:
        schedule.step(torch.from_numpy(INPUTS))
    else:
        schedule.step(target=torch.from_numpy(TARGETS), losses=[])
    actions = [a for a in schedule.pipeline_order[comm.rank] if a is not None]
    order = [
        (
            "F" if a.computation_type.name == "FORWARD" else "B",
            a.microbatch_index,
            a.stage_index // comm.size,
        )
        for a in actions
    ]
    return order, [p.grad.numpy() for s in stages for p in s.submod.parameters()]


@pytest.mark.slow
def test_the_interleaved_schedule_is_torch_s_action_by_action() -> None:
    other = run(their_order, 2, 2, backend="torch")
    mine = run(our_pipeline, 2, "interleaved", 2)
    for actions, (order, gradients), (_, ours_) in zip(
        interleaved(2, MICROBATCHES, 2), other, mine, strict=True
    ):
        assert [tuple(a) for a in actions] == order
        for x, y in zip(ours_, gradients, strict=True):
            np.testing.assert_allclose(x, y, atol=1e-13)
