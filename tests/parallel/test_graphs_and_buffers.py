"""Data parallel models whose ranks use different parts, share weights, have buffers, or are PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook import autograd, backend, nn
from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.distributed import RankError, cost, run
from lmbook.optim import SGD
from lmbook.parallel import DistributedDataParallel, checkpoint
from tests.parallel.programs import CLASSES, WIDTH, batch, gradients, loss, part


class Branches(nn.Module):
    """Even ranks go left, odd ones right; nobody uses the spare one."""

    def __init__(self, side):
        super().__init__()
        self.side = side
        self.trunk, self.spare = nn.Linear(WIDTH, 4), nn.Linear(4, CLASSES)
        self.left, self.right = nn.Linear(4, CLASSES), nn.Linear(4, CLASSES)
        self.double()

    def forward(self, x):
        y = (self.left if self.side == 0 else self.right)(self.trunk(x).tanh())
        return {"logits": [y]}


def branch_gradients(comm, options, steps=2):
    model = DistributedDataParallel(Branches(comm.rank % 2), comm, **options)
    for s in range(steps):
        model.zero_grad()
        x, y = part(s, comm.rank, comm.size)
        F.cross_entropy(model(x)["logits"][0], y).backward()
    return {n: None if p.grad is None else p.grad.data for n, p in model.named_parameters()}


@pytest.mark.parametrize(
    "options", [{"bucket_bytes": 0}, {"bucket_bytes": 250}, {"overlap": False}]
)
@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_that_use_different_parts_agree_on_the_mean(ranks, options) -> None:
    with backend.using(np.random.default_rng([0, 0])):
        models = [Branches(0)]
    models += [Branches(r % 2) for r in range(1, ranks)]
    want: dict[str, list] = {}
    for r, model in enumerate(models):
        model.load_state_dict(models[0].state_dict())
        x, y = part(1, r, ranks)
        F.cross_entropy(model(x)["logits"][0], y).backward()
        for n, p in model.named_parameters():
            want.setdefault(n, []).append(np.zeros(p.shape) if p.grad is None else p.grad.data)
    for got in run(branch_gradients, ranks, {"find_unused_parameters": True, **options}):
        for name, each in want.items():
            g = got[f"module.{name}"]
            if name.startswith("spare"):
                assert g is None  # nobody used it
            else:
                np.testing.assert_allclose(g, np.mean(each, axis=0), atol=1e-15)
                assert abs(g).max() > 1e-3


@pytest.mark.parametrize("backend_", ["sim", "proc"])
def test_a_rank_without_a_gradient_is_named_at_once(backend_) -> None:
    with pytest.raises(RankError, match=r"pass of rank 0 gave no gradient to \['spare.weight', 's|"
                       r"pass of rank 1 gave no gradient to \['spare.weight'"):  # fmt: skip
        run(branch_gradients, 2, {}, 1, backend=backend_)


def test_weights_that_are_shared_count_once() -> None:
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.out = nn.Embedding(CLASSES, 4), nn.Linear(4, CLASSES, bias=False)
            self.out.weight = self.table.weight
            self.double()

        def forward(self, y):
            return self.out(self.table(y).tanh())

    y = batch(0)[1]

    def fn(comm):
        model = DistributedDataParallel(Tied(), comm)
        mine = Tensor(y.reshape(comm.size, -1)[comm.rank])
        F.cross_entropy(model(mine), mine).backward()
        return [p.grad.data for p in model.parameters()]

    with backend.using(np.random.default_rng([0, 0])):
        alone = Tied()
    F.cross_entropy(alone(Tensor(y)), Tensor(y)).backward()
    told = run(fn, 4)
    for (got,) in told:
        np.testing.assert_allclose(got, alone.out.weight.grad.data, atol=1e-16)
    n = 4 * CLASSES * 8
    assert told.log.total_bytes == 3 * n + cost("all_reduce", "ring", 4, n).bytes


def test_a_second_gradient_in_one_pass_is_an_error() -> None:
    def fn(comm):
        layer = nn.Linear(WIDTH, WIDTH).double()
        model = DistributedDataParallel(layer, comm)
        x = Tensor(batch(0)[0], requires_grad=True)
        checkpoint(model, checkpoint(model, x)).sum().backward()

    with pytest.raises(
        RankError, match=r"gave a second gradient to \['(weight|bias)'\], within one pass"
    ):
        run(fn, 2)

    def once(comm):
        model = DistributedDataParallel(nn.Linear(WIDTH, 2).double(), comm)
        x, _ = part(0, comm.rank, 2)
        x.requires_grad = True
        checkpoint(model, x).sum().backward()
        return model.module.weight.grad.data

    want = np.ones((2, 1)) * part(0, 0, 1)[0].data.sum(axis=0) / 2
    for got in run(once, 2):
        np.testing.assert_allclose(got, want, atol=1e-14)


def test_gradients_as_a_result_send_nothing() -> None:
    def fn(comm):
        model = DistributedDataParallel(nn.Linear(WIDTH, CLASSES).double(), comm)
        if comm.rank == 0:
            return autograd.grad(loss(model, *part(0, 0, 2)), model.module.weight)[0].data
        return None

    told = run(fn, 2)
    assert told.log.total_bytes == (WIDTH * CLASSES + CLASSES) * 8 and abs(told[0]).max() > 0


# --- Buffers ---------------------------------------------------------------------------------------


def normalised():
    return nn.Sequential(nn.Linear(WIDTH, 4), nn.BatchNorm1d(4), nn.Linear(4, CLASSES)).double()


def batch_norm(comm, sync, steps=3):
    model = DistributedDataParallel(normalised(), comm, sync_batchnorm=sync)
    optimizer = SGD(model.parameters(), lr=0.1)
    for s in range(steps):
        optimizer.zero_grad()
        loss(model, *part(s, comm.rank, comm.size)).backward()
        optimizer.step()
    return {n: v.copy() for n, v in model.module.state_dict().items()}


@pytest.mark.parametrize("ranks", [2, 4])
def test_batch_norm_sees_the_whole_batch_if_asked_to(ranks) -> None:
    with backend.using(np.random.default_rng([0, 0])):
        model = normalised()
    optimizer = SGD(model.parameters(), lr=0.1)
    for s in range(3):
        gradients(model, *part(s, 0, 1))
        optimizer.step()
    want = model.state_dict()
    apart, together = (run(batch_norm, ranks, sync) for sync in (False, True))
    for got in together:
        for name, value in want.items():
            np.testing.assert_allclose(got[name], value, atol=1e-13, err_msg=name)
    assert abs(apart[0]["0.weight"] - want["0.weight"]).max() > 1e-4
    assert abs(apart[0]["1.running_var"] - apart[1]["1.running_var"]).max() > 1e-3


def test_buffers_travel_in_one_message_a_type_and_not_without_sync() -> None:
    def fn(comm, quiet):
        model = DistributedDataParallel(normalised(), comm)
        x = part(0, comm.rank, 2)[0]
        if quiet:
            with model.no_sync():
                model(x)
        else:
            model(x)
        model.eval()(x)

    start, one = (run(fn, 2, quiet).log for quiet in (True, False))
    assert (start.total_messages, one.total_messages - start.total_messages) == (2, 2)
    assert one.total_bytes - start.total_bytes == 2 * 4 * 8 + 8  # mean, variance, count


# --- PyTorch ---------------------------------------------------------------------------------------


def both_ddp(comm, find_unused):
    """The same steps by PyTorch's DDP over gloo and by ours: the weights of both."""
    import torch
    from torch.nn.parallel import DistributedDataParallel as Theirs

    ours, theirs = Branches(comm.rank % 2 if find_unused else 0), {}
    for n in ("trunk", "left", "right", "spare"):
        m = getattr(ours, n)
        t = theirs[n] = torch.nn.Linear(*m.weight.shape[::-1]).double()
        t.load_state_dict({k: torch.tensor(v) for k, v in m.state_dict().items()})
    names = ["trunk", "left", "right"] if find_unused else ["trunk", "left"]
    if not find_unused:
        ours.right.requires_grad_(False)
        ours.spare.requires_grad_(False)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = torch.nn.ModuleDict({n: theirs[n] for n in names})

        def forward(self, x):
            last = "left" if ours.side == 0 else "right"
            return self.parts[last](self.parts["trunk"](x).tanh())

    net = Theirs(Net(), find_unused_parameters=find_unused)
    model = DistributedDataParallel(ours, comm, find_unused_parameters=find_unused)
    mine = SGD([p for p in model.parameters() if p.requires_grad], lr=0.3, momentum=0.9)
    other = torch.optim.SGD(net.parameters(), lr=0.3, momentum=0.9)
    for s in range(6):
        x, y = part(s, comm.rank, comm.size)
        mine.zero_grad()
        other.zero_grad()
        F.cross_entropy(model(x)["logits"][0], y).backward()
        torch.nn.functional.cross_entropy(
            net(torch.tensor(x.data)), torch.tensor(y.data)
        ).backward()
        mine.step()
        other.step()
    a = [getattr(ours, n).weight.data for n in names]
    b = [net.module.parts[n].weight.detach().numpy() for n in names]
    return a, b


@pytest.mark.parametrize("find_unused", [False, True])
def test_weights_are_those_of_pytorch_s_ddp(find_unused) -> None:
    told = run(both_ddp, 2, find_unused, backend="torch")
    for ours, theirs in told:
        for a, b, c in zip(ours, theirs, told[0][0], strict=True):
            np.testing.assert_allclose(a, b, atol=1e-13)
            np.testing.assert_array_equal(a, c)
