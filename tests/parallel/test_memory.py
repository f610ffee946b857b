"""What saves memory changes no bit: whole tensors, 16-bit weights, prefetch, recomputation, buffers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmbook import backend, nn
from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.backend import DTypeError
from lmbook.distributed import Network, RankError, run
from lmbook.optim import LBFGS, SGD, Adafactor, Muon
from lmbook.parallel import (
    FullyShardedDataParallel,
    ZeroRedundancyOptimizer,
    any_rank,
    buckets,
    clip_grad_norm_,
    flatten,
    save_sharded,
    unflatten,
)
from lmbook.parallel.half import pack, unpack
from lmbook.training import GradScaler, MixedPrecision, round_to
from tests.parallel.programs import adam, gradients, loss, network, part, ring_sum, state

# --- Optimisers that need whole tensors ------------------------------------------------------------

MAKE = {
    "muon": lambda ps: Muon(ps, lr=0.02),
    "adafactor": lambda ps: Adafactor(ps, lr=0.02),
    "adamw": adam,
}


def matrices(model):
    return [p for p in model.parameters() if p.ndim == 2]


def others(model):
    return [p for p in model.parameters() if p.ndim != 2]


def divided(comm, name, stage, steps=4):
    model = network()
    found = [
        ZeroRedundancyOptimizer(matrices(model), comm, MAKE[name], stage, whole=True),
        ZeroRedundancyOptimizer(others(model), comm, adam, stage),
    ]
    for s in range(steps):
        loss(model, *part(s, comm.rank, comm.size)).backward()
        for optimizer in found:
            optimizer.step()
            optimizer.zero_grad()
    sizes = [
        a.size for e in found[0].inner.state.values() for a in e.values() if hasattr(a, "size")
    ]
    return state(model), sum(sizes)


def ring_mean(model, ranks, step, groups):
    """Mean gradients as rings give them, group by group; a group has the order and the cuts of its blocks."""
    parameters = list(model.parameters())
    each = [gradients(model, *part(step, r, ranks)) for r in range(ranks)]
    mean = {}
    for group in groups:
        of = [next(i for i, p in enumerate(parameters) if p is q) for q in group]
        flat = ring_sum([flatten(g[i] for i in of) for g in each]) / ranks
        mean |= dict(zip(of, unflatten(flat, group), strict=True))
    return [mean[i] for i in range(len(parameters))]


def owner_mean(model, ranks, step, owners):
    """The gradient of a tensor that rank r owns: the ring begins at rank r + 1."""
    each = [gradients(model, *part(step, r, ranks)) for r in range(ranks)]
    mean = []
    for i, r in enumerate(owners):
        total = each[(r + 1) % ranks][i].copy()
        for k in range(2, ranks + 1):
            total += each[(r + k) % ranks][i]
        mean.append(total / ranks)
    return mean


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("name", MAKE)
def test_optimisers_of_whole_tensors_have_the_bits_of_one_process(name, stage, ranks) -> None:
    with backend.using(np.random.default_rng([0, 0])):
        model = network()
    parameters, big = list(model.parameters()), matrices(model)
    first, second = MAKE[name](big), adam(others(model))
    loads, owner = [0] * ranks, {}
    for p in sorted(big, key=lambda p: -p.numel()):  # 42, 35, 18 entries: the largest first
        owner[id(p)] = loads.index(min(loads))
        loads[owner[id(p)]] += p.numel()
    for s in range(4):
        small = ring_mean(model, ranks, s, buckets(others(model), None) + [[p] for p in big])
        large = owner_mean(model, ranks, s, [owner.get(id(p), 0) for p in parameters])
        for p, a, b in zip(parameters, small, large, strict=True):
            p.grad = Tensor((b if id(p) in owner else a).copy())
        first.step()
        second.step()
    told = run(divided, ranks, name, stage)
    for got, _ in told:
        np.testing.assert_array_equal(got, state(model))
    whole = sum(a.size for e in first.state.values() for a in e.values() if hasattr(a, "size"))
    assert sum(kept for _, kept in told) == whole  # each moment once in all
    if name == "adafactor":
        assert whole < sum(p.numel() for p in big)  # rows and columns only


def test_whole_tensors_travel_in_closed_form_and_suit_logical_shards() -> None:
    def fn(comm, steps, shards=None):
        model = network(0)
        optimizer = ZeroRedundancyOptimizer(
            model, comm, MAKE["adafactor"], whole=True, shards=shards
        )
        for s in range(steps):
            for i in optimizer.mine or [comm.rank]:
                loss(model, *part(s, i, shards or comm.size)).backward()
            optimizer.step()
            optimizer.zero_grad()
        return state(model), max(np.diff(optimizer.units[0].ends))

    for ranks in (2, 3):
        few, more = run(fn, ranks, 1), run(fn, ranks, 3)
        n, largest = 8 * few[0][0].size, 8 * few[0][1]
        want = (ranks - 1) * n + ranks * (ranks - 1) * largest
        assert more.log.total_bytes - few.log.total_bytes == 2 * want
    one = run(fn, 1, 4, 8)[0][0]
    for ranks in (2, 3, 8):
        np.testing.assert_array_equal(run(fn, ranks, 4, 8)[ranks - 1][0], one)


def test_what_cannot_be_divided_is_refused_with_the_way_out(tmp_path) -> None:
    def fails(fn, match, error=RankError):
        with pytest.raises(error, match=match):
            run(fn, 2)

    for make in (MAKE["muon"], MAKE["adafactor"]):
        fails(lambda c, make=make: ZeroRedundancyOptimizer(network(), c, make), "whole=True")
        fails(
            lambda c, make=make: make(FullyShardedDataParallel(network(), c).parameters()),
            r"block cut from several \(ZeRO, FSDP\).*whole=True",
        )
    fails(
        lambda c: ZeroRedundancyOptimizer(network(), c, LBFGS),
        "LBFGS: needs whole tensors.*DistributedDataParallel",
    )
    fails(
        lambda c: ZeroRedundancyOptimizer(network(), c, LBFGS, whole=True),
        "LBFGS needs all parameters at once",
    )

    def save(comm):
        optimizer = ZeroRedundancyOptimizer(matrices(network()), comm, MAKE["muon"], whole=True)
        save_sharded(tmp_path, 1, optimizer.units, optimizer.inner)

    fails(save, "hold whole tensors")


# --- Mixed precision -------------------------------------------------------------------------------


def test_sixteen_bits_round_as_the_references_do() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=2000) * 10.0 ** rng.integers(-44, 38, 2000)).astype(np.float32)
    x[:6] = [0, -0.0, np.inf, -np.inf, np.nan, 65520]
    x[6:9] = np.array([0x3F808000, 0x3F818000, 0x3F808001], np.uint32).view(np.float32)  # ties
    for name, kind in (("float16", torch.float16), ("bfloat16", torch.bfloat16)):
        bits = pack(x, name)
        assert bits.nbytes == 2 * x.size
        np.testing.assert_array_equal(unpack(bits), round_to(x, name))
        np.testing.assert_array_equal(unpack(bits), torch.from_numpy(x).to(kind).float().numpy())
        np.testing.assert_array_equal(unpack(pack(unpack(bits), name)), unpack(bits))
    with pytest.raises(DTypeError, match="float64 to float16"):
        pack(np.ones(2), "float16")


SCALE = {"float16": 2.0**17, "bfloat16": 2.0**10}


class Hidden(nn.Sequential):
    """A unit."""


def mlp():
    return nn.Sequential(Hidden(nn.Linear(5, 7), nn.GELU(), nn.LayerNorm(7)), nn.Linear(7, 3))


def in_16_bits(comm, how, name, steps):
    model = mlp()
    with MixedPrecision(model, name):
        if how == 3:
            wrapped = FullyShardedDataParallel(model, comm, (Hidden,), param_dtype=name)
            optimizer = inner = SGD(wrapped.parameters(), lr=0.05, momentum=0.9)
            blocks = [u.block for u in wrapped.units]
        else:
            wrapped = model
            optimizer = ZeroRedundancyOptimizer(
                model, comm, lambda ps: SGD(ps, lr=0.05, momentum=0.9), how, None, param_dtype=name
            )
            inner, blocks = optimizer.inner, optimizer.blocks()
        scaler = GradScaler(SCALE[name], growth_interval=2, agree=any_rank(comm))
        taken = []
        for s in range(steps):
            scaler.scale(loss(wrapped, *part(s, comm.rank, comm.size, np.float32))).backward()
            if how == 1:
                optimizer.reduce()
            if scaler.unscale_(inner):
                clip_grad_norm_(blocks, 1.0, comm)
            taken.append(scaler.step(optimizer))
            scaler.update()
            optimizer.zero_grad()
        master = np.concatenate(comm.all_gather(np.concatenate([b.data for b in blocks])))
        if how == 3:
            return wrapped.state_dict(), taken, scaler.get_scale(), master
        return model.state_dict(), taken, scaler.get_scale(), master


def one_process(ranks, how, name, steps):
    """Float32 masters; before each step the model gets them rounded."""
    with backend.using(np.random.default_rng([0, 0])):
        model = mlp()
    masters = [nn.Parameter(p.data.copy()) for p in model.parameters()]
    optimizer = SGD(masters, lr=0.05, momentum=0.9)
    scaler = GradScaler(SCALE[name], growth_interval=2)
    places = {id(p): i for i, p in enumerate(model.parameters())}
    groups = [list(model[0].parameters()), list(model[1].parameters())]
    groups = groups if how == 3 else buckets(list(model.parameters()), None)
    taken = []

    def give():
        for p, m in zip(model.parameters(), masters, strict=True):
            p.data[...] = round_to(m.data, name)

    with MixedPrecision(model, name):
        for s in range(steps):
            give()
            each = []
            for r in range(ranks):
                model.zero_grad()
                scaler.scale(loss(model, *part(s, r, ranks, np.float32))).backward()
                each.append([p.grad.data.copy() for p in model.parameters()])
            for group in groups:
                of = [places[id(p)] for p in group]
                with np.errstate(invalid="ignore"):
                    flat = ring_sum([flatten(g[i] for i in of) for g in each]) / np.float32(ranks)
                for i, g in zip(of, unflatten(flat, group), strict=True):
                    masters[i].grad = Tensor(g.copy())
            if scaler.unscale_(optimizer):
                run(lambda c: clip_grad_norm_(masters, 1.0, c), 1)
            taken.append(scaler.step(optimizer))
            scaler.update()
            optimizer.zero_grad()
    give()
    return model.state_dict(), taken, scaler.get_scale()


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("name", ["float16", "bfloat16"])
@pytest.mark.parametrize("how", [1, 2, 3])
def test_mixed_precision_has_the_bits_of_one_process(how, name, ranks) -> None:
    told = run(in_16_bits, ranks, how, name, 6)
    want, taken, scale = one_process(ranks, how, name, 6)
    assert (False in taken) == (name == "float16") and sum(taken) >= 3
    for got, steps, s, master in told:
        assert steps == taken and s == scale
        for key in want:
            np.testing.assert_array_equal(got[key], want[key], err_msg=key)
            np.testing.assert_array_equal(got[key], round_to(got[key], name))
        assert (master != round_to(master, name)).mean() > 0.5  # the masters keep their 32 bits


def one_overflow(comm, agreed):
    """In the second of four steps the block of rank 1 alone has an entry that is not finite."""
    model = network(dtype=np.float32)
    optimizer = ZeroRedundancyOptimizer(model, comm, adam, 2)
    scaler = GradScaler(4.0, agree=any_rank(comm) if agreed else None)
    taken = []
    for s in range(4):
        scaler.scale(loss(model, *part(s, comm.rank, comm.size, np.float32))).backward()
        if s == 1 and comm.rank == 1:
            optimizer.blocks()[0].grad.data[0] = np.inf
        taken.append(scaler.unscale_(optimizer.inner))
        scaler.update()
        if taken[-1]:
            optimizer.inner.step()
        for u in optimizer.units:
            u.gather()
        optimizer.zero_grad()
    return taken, scaler.get_scale()


def test_ranks_agree_on_the_steps_that_are_left_out() -> None:
    assert run(one_overflow, 3, True) == [([True, False, True, True], 2.0)] * 3
    alone = run(one_overflow, 3, False)  # and without it they part ways
    assert [scale for _, scale in alone] == [4.0, 2.0, 4.0]

    def early(comm):
        optimizer = ZeroRedundancyOptimizer(network(dtype=np.float32), comm, adam)
        GradScaler(agree=any_rank(comm)).unscale_(optimizer.inner)

    with pytest.raises(RankError, match=r"no parameter has a gradient.*optimizer\.reduce"):
        run(early, 2)


def test_sixteen_bit_weights_halve_what_gathers_send() -> None:
    def fn(comm, how, name, steps):
        model = network(0, np.float32)
        if how == 3:
            model = FullyShardedDataParallel(
                model, comm, (nn.Linear, nn.LayerNorm), param_dtype=name
            )
            optimizer = adam(model.parameters())
        else:
            optimizer = ZeroRedundancyOptimizer(model, comm, adam, how, param_dtype=name)
        for s in range(steps):
            loss(model, *part(s, comm.rank, comm.size, np.float32)).backward()
            optimizer.step()
            optimizer.zero_grad()

    n = state(network(dtype=np.float32)).size
    for how, gathers in ((1, 1), (2, 1), (3, 2)):
        for name, size in ((None, 4), ("bfloat16", 2)):
            few, more = (run(fn, 3, how, name, k).log.total_bytes for k in (1, 2))
            assert more - few == 2 * n * (4 + gathers * size)
    for dtype, name in ((np.float64, "float16"), (np.float32, "float8")):
        with pytest.raises(RankError, match=f"param_dtype '{name}'"):
            run(lambda c, dtype=dtype, name=name: ZeroRedundancyOptimizer(
                network(0, dtype), c, adam, param_dtype=name), 1)  # fmt: skip

    def hooked(comm):
        model = network(0, np.float32)
        MixedPrecision(model, "bfloat16")
        model = FullyShardedDataParallel(model, comm, (nn.Linear,), param_dtype="bfloat16")
        loss(model, *part(0, 0, 1, np.float32))

    with pytest.raises(RankError, match="a hook of Linear replaced its weights"):
        run(hooked, 1)


# --- Prefetch --------------------------------------------------------------------------------------


class Slow(nn.Module):
    """A layer whose computation takes a second on the virtual clock."""

    def __init__(self, comm):
        super().__init__()
        self.comm, self.linear = comm, nn.Linear(5, 5)

    def forward(self, x):
        self.comm.compute(1.0, "compute")
        return F.tanh(self.linear(x))


def layered(comm, prefetch, steps):
    model = nn.Sequential(*(Slow(comm) for _ in range(4))).double()
    model = FullyShardedDataParallel(model, comm, (Slow,), prefetch=prefetch)
    optimizer = SGD(model.parameters(), lr=0.1)
    for s in range(steps):
        model(part(s, comm.rank, comm.size)[0]).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return np.concatenate([v.reshape(-1) for v in model.state_dict().values()])


def test_prefetch_hides_gathers_and_changes_no_bit_and_no_byte() -> None:
    net = Network(alpha=0.1, beta=0.0)
    plain, early = (run(layered, 2, p, 3, network=net) for p in (False, True))
    for a, b in zip(plain, early, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(plain.log.bytes, early.log.bytes)
    # of 8 gathers a step 6 hide: not the first, and not the one after the last layer's forward pass
    assert plain.log.time - early.log.time == pytest.approx(2 * 6 * 0.1)


def test_an_unused_prefetch_is_not_believed() -> None:
    def fn(comm):
        model = FullyShardedDataParallel(nn.Linear(3, 2).double(), comm)
        unit = model.units[0]
        unit.prefetch()
        comm.barrier()  # by now it has come
        unit.block.data += 1.0
        unit.block._version[0] += 1
        unit.gather()
        return flatten(t.data for t in unit.tensors), np.concatenate(
            comm.all_gather(unit.block.data)
        )

    for got, want in run(fn, 2):
        np.testing.assert_array_equal(got, want)
