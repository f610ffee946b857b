"""Our ranks beside `torch.distributed`: the same processes run both, with the same weights and data."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmbook.distributed import run
from lmbook.optim import SGD
from tests.parallel.programs import BATCH, adam, gradients, loss, network, part, state, step_with
from tests.parity import LIMIT64, Record

STEPS = 5


class Gloo:
    """PyTorch's process group over gloo, and a copy of our network."""

    def __init__(self, comm: Any, store: str) -> None:
        import torch
        import torch.distributed as dist

        torch.set_num_threads(1)
        dist.init_process_group("gloo", init_method=store, rank=comm.rank, world_size=comm.size)
        self.comm, self.torch, self.dist = comm, torch, dist

    def copy(self, model: Any) -> Any:
        """PyTorch's layers with our weights."""
        tnn = self.torch.nn
        theirs = tnn.Sequential(tnn.Linear(5, 7), tnn.GELU(), tnn.LayerNorm(7), tnn.Linear(7, 6),
                                tnn.Tanh(), tnn.Linear(6, 3)).double()  # fmt: skip
        with self.torch.no_grad():
            for p, q in zip(theirs.parameters(), model.parameters(), strict=True):
                p.copy_(self.torch.tensor(q.data))
        return theirs

    def part(self, step: int) -> tuple[Any, Any]:
        """This rank's share of a batch."""
        x, y = part(step, self.comm.rank, self.comm.size)
        return self.torch.tensor(x.data), self.torch.tensor(y.data)

    def step(self, model: Any, optimizer: Any, step: int) -> None:
        """A step of PyTorch's."""
        x, y = self.part(step)
        optimizer.zero_grad()
        self.torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    def adam(self, parameters: Any) -> Any:
        return self.torch.optim.AdamW(parameters, lr=0.02, weight_decay=0.01)

    def state(self, model: Any) -> np.ndarray:
        return np.concatenate([p.detach().numpy().reshape(-1) for p in model.parameters()])


def everything(comm: Any, store: str, jobs: dict[str, tuple]) -> dict[str, list[tuple]]:
    """All jobs one after the other in the same processes: for each, pairs (ours, theirs)."""
    g = Gloo(comm, store)
    found = {}
    for name, (fn, *args) in jobs.items():
        found[name] = fn(comm, g, *args)
        comm.barrier()
    g.dist.destroy_process_group()
    return found


@lru_cache(maxsize=2)
def told(ranks: int) -> list[dict[str, list[tuple]]]:
    """What the ranks of one run found; it starts once for all tests."""
    jobs = {name: job for name, (n, *job) in JOBS.items() if n == ranks}
    with tempfile.TemporaryDirectory() as folder:
        store = (Path(folder) / "store").as_uri()
        return run(everything, ranks, store, jobs, backend="proc")


def compare(record: Record, name: str) -> None:
    """Put the largest error of a job into a record, and hold it to the limit."""
    for by_name in told(JOBS[name][0]):
        for ours, theirs in by_name[name]:
            ours, theirs = np.asarray(ours), np.asarray(theirs)
            assert ours.shape == theirs.shape
            error = np.abs(ours - theirs) / (1 + np.abs(theirs))
            record.error64 = max(record.error64, float(error.max(initial=0.0)))
            record.draws += 1
    assert record.draws and record.error64 <= LIMIT64
    record.keep()


# --- Collectives -----------------------------------------------------------------------------------


def collective(comm, g, what, shape):
    from tests.distributed.programs import data

    torch, dist, p, last = g.torch, g.dist, comm.size, comm.size - 1
    x = data(comm.rank, shape)
    t = torch.tensor(x)
    if what == "all_reduce":
        pairs = []
        for op, theirs in (("sum", "SUM"), ("max", "MAX"), ("min", "MIN"), ("prod", "PRODUCT")):
            y = t.clone()
            dist.all_reduce(y, getattr(dist.ReduceOp, theirs))
            for a in ("ring", "tree", "naive", "recursive_doubling", "halving_doubling", "auto"):
                pairs.append((comm.all_reduce(x, op, a), y.numpy()))
        return pairs
    if what == "broadcast":
        dist.broadcast(t, last)
        return [(comm.broadcast(x, last, a), t.numpy()) for a in ("tree", "naive")]
    if what == "reduce":
        y = t.clone()
        dist.reduce(y, last)
        ours = [comm.reduce(x, last, algorithm=a) for a in ("tree", "naive")]
        return [(o, y.numpy()) for o in ours] if comm.rank == last else [(0.0, 0.0)]
    if what == "all_gather":
        parts = [torch.empty_like(t) for _ in range(p)]
        dist.all_gather(parts, t)
        return [(comm.all_gather(x, a), torch.stack(parts).numpy()) for a in ("ring", "bruck")]
    if what == "gather":
        parts = [torch.empty_like(t) for _ in range(p)] if comm.rank == last else None
        dist.gather(t, parts, last)
        ours = comm.gather(x, last)
        return [(ours, torch.stack(parts).numpy())] if comm.rank == last else [(0.0, 0.0)]
    if what == "scatter":
        rows = [data(100 + r, shape) for r in range(p)] if comm.rank == last else None
        dist.scatter(t, rows and [torch.tensor(row) for row in rows], last)
        return [(comm.scatter(rows, last), t.numpy())]
    x = data(comm.rank, (p * shape[0], *shape[1:]))
    y = torch.empty(shape, dtype=torch.float64)
    if what == "reduce_scatter":
        dist.reduce_scatter_tensor(y, torch.tensor(x))
        return [(comm.reduce_scatter(x), y.numpy())]
    y = torch.empty(x.shape, dtype=torch.float64)
    dist.all_to_all_single(y, torch.tensor(x))
    return [(np.concatenate(comm.all_to_all(np.split(x, p))), y.numpy())]


KINDS = ("all_reduce", "broadcast", "reduce", "all_gather", "gather", "scatter", "reduce_scatter",
         "all_to_all")  # fmt: skip


@pytest.mark.parametrize("what", KINDS)
def test_collectives_are_those_of_gloo(what: str) -> None:
    record = Record(f"distributed.{what}", False, False, ("numpy",), ("float64",), {"(7, 3)"})
    compare(record, what)


# --- Training --------------------------------------------------------------------------------------


def data_parallel(comm, g):
    from lmbook.parallel import DistributedDataParallel

    model = network(3)
    theirs = g.torch.nn.parallel.DistributedDataParallel(g.copy(model))
    their_adam = g.adam(theirs.parameters())
    ours = DistributedDataParallel(model, comm)
    our_adam, pairs = adam(ours.parameters()), []
    for s in range(STEPS):
        g.step(theirs, their_adam, s)
        our_adam.zero_grad()
        loss(ours, *part(s, comm.rank, comm.size)).backward()
        our_adam.step()
        pairs.append((state(model), g.state(theirs)))
    return pairs


def zero(comm, g, stage):
    from torch.distributed.optim import ZeroRedundancyOptimizer as Theirs

    from lmbook.parallel import ZeroRedundancyOptimizer

    model = network(3)
    theirs = g.torch.nn.parallel.DistributedDataParallel(g.copy(model))
    settings = {"lr": 0.02, "weight_decay": 0.01}
    their_adam = Theirs(theirs.parameters(), g.torch.optim.AdamW, **settings)
    our_adam, pairs = ZeroRedundancyOptimizer(model, comm, adam, stage), []
    for s in range(STEPS):
        g.step(theirs, their_adam, s)
        loss(model, *part(s, comm.rank, comm.size)).backward()
        our_adam.step()
        our_adam.zero_grad()
        pairs.append((state(model), g.state(theirs)))
    return pairs


def fully_sharded(comm, g):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    from lmbook import nn
    from lmbook.parallel import FullyShardedDataParallel

    model = network(3)
    theirs, mesh = g.copy(model), init_device_mesh("cpu", (comm.size,))
    for layer in theirs:
        if isinstance(layer, g.torch.nn.Linear):
            fully_shard(layer, mesh=mesh)
    fully_shard(theirs, mesh=mesh)
    their_adam = g.adam(theirs.parameters())
    ours = FullyShardedDataParallel(model, comm, (nn.Linear,))
    our_adam, pairs = adam(ours.parameters()), []
    for s in range(STEPS):
        g.step(theirs, their_adam, s)
        loss(ours, *part(s, comm.rank, comm.size)).backward()
        our_adam.step()
        our_adam.zero_grad()
        whole = [p.full_tensor().detach().numpy() for p in theirs.parameters()]
        full = ours.state_dict()
        pairs += zip([full[n] for n, _ in ours.module.named_parameters()], whole, strict=True)
    return pairs


def tensor_parallel(comm, g):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import parallel as tp

    from lmbook import nn
    from lmbook.parallel import ColumnParallelLinear, RowParallelLinear, full_tensors

    model = network(3)
    layers = [*model]
    theirs = g.copy(model)
    plan = {"3": tp.ColwiseParallel(), "5": tp.RowwiseParallel()}
    tp.parallelize_module(theirs, init_device_mesh("cpu", (comm.size,)), plan)
    their_adam = g.adam(theirs.parameters())
    ours = nn.Sequential(*layers[:3], ColumnParallelLinear(layers[3], comm), layers[4],
                         RowParallelLinear(layers[5], comm))  # fmt: skip
    our_adam, pairs = adam(ours.parameters()), []
    for s in range(STEPS):
        x, y = part(s, 0, 1)  # every rank has the whole batch
        their_adam.zero_grad()
        out = theirs(g.torch.tensor(x.data))
        g.torch.nn.functional.cross_entropy(out, g.torch.tensor(y.data)).backward()
        their_adam.step()
        our_adam.zero_grad()
        loss(ours, x, y).backward()
        our_adam.step()
        whole = [
            np.array(getattr(p, "full_tensor", lambda p=p: p)().detach())
            for p in theirs.parameters()
        ]
        pairs += zip(map(np.array, full_tensors(ours, comm).values()), whole, strict=True)
    return pairs


def pipeline(comm, g, schedule):
    from torch.distributed import pipelining

    from lmbook import functional as F
    from lmbook.parallel import Pipeline

    model, m = network(3), 4
    copy = g.copy(model)
    cut = [0, 3, 6]
    theirs = copy[cut[comm.rank] : cut[comm.rank + 1]]
    stage = pipelining.PipelineStage(theirs, comm.rank, comm.size, g.torch.device("cpu"))
    kind = {"gpipe": pipelining.ScheduleGPipe, "1f1b": pipelining.Schedule1F1B}[schedule]
    driver = kind(stage, m, loss_fn=g.torch.nn.functional.cross_entropy)
    their_adam = g.adam(theirs.parameters())
    ours = Pipeline([*model], comm, schedule)
    our_adam, pairs = adam(ours.parameters()), []
    for s in range(STEPS):
        x, y = part(s, 0, 1)
        xs, ys = np.split(x.data, m), np.split(y.data, m)
        their_adam.zero_grad()
        if comm.rank == 0:
            driver.step(g.torch.tensor(x.data))
        else:
            driver.step(target=g.torch.tensor(y.data))
        their_adam.step()
        ours.step(xs, lambda out, i, ys=ys: F.cross_entropy(out, ys[i]))
        our_adam.step()
        our_adam.zero_grad()
        pairs.append((state(ours), g.state(theirs)))
    return pairs


def wrong(comm, g):
    """Data parallel that sums instead of averaging."""
    model = network(3)
    theirs = g.torch.nn.parallel.DistributedDataParallel(g.copy(model))
    their_sgd = g.torch.optim.SGD(theirs.parameters(), lr=0.1)
    our_sgd = SGD(model.parameters(), lr=0.1)
    g.step(theirs, their_sgd, 0)
    mine = gradients(model, *part(0, comm.rank, comm.size))
    step_with(model, our_sgd, [comm.all_reduce(x) for x in mine])
    return [(state(model), g.state(theirs))]


TRAININGS = {
    "DistributedDataParallel": (3, data_parallel),
    "ZeroRedundancyOptimizer, stage 1": (3, zero, 1),
    "ZeroRedundancyOptimizer, stage 2": (3, zero, 2),
    "FullyShardedDataParallel": (3, fully_sharded),
    "ColumnParallelLinear and RowParallelLinear": (2, tensor_parallel),
    "Pipeline, gpipe": (2, pipeline, "gpipe"),
    "Pipeline, 1f1b": (2, pipeline, "1f1b"),
}
JOBS: dict[str, tuple] = {
    **{kind: (3, collective, kind, (7, 3)) for kind in KINDS}, **TRAININGS, "wrong": (3, wrong),
}  # fmt: skip


@pytest.mark.parametrize("kind", TRAININGS)
def test_trainings_are_those_of_pytorch(kind: str) -> None:
    record = Record(f"parallel.{kind}", False, False, ("numpy",), ("float64",), {f"({BATCH}, 5)"})
    compare(record, kind)
    assert record.draws >= TRAININGS[kind][0] * STEPS


def test_a_forgotten_mean_is_seen() -> None:
    with pytest.raises(AssertionError):
        compare(Record("", False, False), "wrong")
