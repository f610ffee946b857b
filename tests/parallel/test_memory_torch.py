"""ZeRO-3 against PyTorch's FSDP, checkpointing against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint as torch_checkpoint

from lmbook import backend, nn
from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.distributed import run
from lmbook.optim import AdamW
from lmbook.parallel import FullyShardedDataParallel, checkpoint

SHAPES = ((16, 12), (16,), (5, 16))


def start() -> list[np.ndarray]:
    rng = np.random.default_rng(8)
    return [rng.normal(size=shape) / 4 for shape in SHAPES]


def examples(step, rank):
    rng = np.random.default_rng([9, step, rank])
    return rng.normal(size=(6, 12)), rng.normal(size=(6, 5))


def ours(comm, steps, early):
    model = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 5, bias=False)).double()
    for p, value in zip(model.parameters(), start(), strict=True):
        p.data[...] = value
    model = FullyShardedDataParallel(model, comm, (nn.Linear,), prefetch=early)
    optimizer = AdamW(model.parameters(), lr=0.01)
    for step in range(steps):
        x, y = examples(step, comm.rank)
        F.mse_loss(model(Tensor(x)), Tensor(y)).backward()
        optimizer.step()
        optimizer.zero_grad()
    return list(model.state_dict().values())


def theirs(comm, steps):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    model = torch.nn.Sequential(
        torch.nn.Linear(12, 16), torch.nn.Tanh(), torch.nn.Linear(16, 5, bias=False)
    ).double()
    with torch.no_grad():
        for p, value in zip(model.parameters(), start(), strict=True):
            p.copy_(torch.from_numpy(value))
    mesh = init_device_mesh("cpu", (comm.size,))
    for layer in (model[0], model[2], model):
        fully_shard(layer, mesh=mesh)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for step in range(steps):
        x, y = (torch.from_numpy(a) for a in examples(step, comm.rank))
        torch.nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()
    return [p.full_tensor().detach().numpy() for p in model.parameters()]


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 3])
def test_zero_3_trains_as_pytorchs_fsdp(ranks) -> None:
    want = run(theirs, ranks, 6, backend="torch")[0]
    for early in (False, True):
        for a, b, first in zip(run(ours, ranks, 6, early)[0], want, start(), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-13)
            assert np.abs(b - first).max() > 0.02


def test_checkpoint_has_pytorchs_gradients_and_spares_running_means() -> None:
    """PyTorch's second forward pass moves running means again; ours leaves them."""
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(6, 4)), rng.normal(size=(4, 4))
    backend.manual_seed(0)
    a = nn.Sequential(nn.Linear(4, 4, bias=False), nn.BatchNorm1d(4), nn.Tanh()).double()
    b = torch.nn.Sequential(
        torch.nn.Linear(4, 4, bias=False), torch.nn.BatchNorm1d(4), torch.nn.Tanh()
    ).double()
    a[0].weight.data[...] = weight
    with torch.no_grad():
        b[0].weight.copy_(torch.from_numpy(weight))
    p = Tensor(x, requires_grad=True)
    q = torch.from_numpy(x).requires_grad_()
    checkpoint(a, p).square().sum().backward()
    torch_checkpoint(b, q, use_reentrant=False).square().sum().backward()
    np.testing.assert_allclose(p.grad.data, q.grad.numpy(), atol=1e-12)
    for ours_, theirs_ in zip(a.parameters(), b.parameters(), strict=True):
        np.testing.assert_allclose(ours_.grad.data, theirs_.grad.numpy(), atol=1e-12)
    assert (a[1].num_batches_tracked.item(), b[1].num_batches_tracked.item()) == (1, 2)
