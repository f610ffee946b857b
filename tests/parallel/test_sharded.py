"""ZeRO-1, 2, 3 and recomputation: bits of the ring's serial oracle, bytes in closed form, what is kept."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook import backend, nn
from lmbook import functional as F
from lmbook.autograd import Tensor, no_grad
from lmbook.distributed import RankError, run
from lmbook.models.gpt import GPT, Block, GPTConfig
from lmbook.optim import SGD, Adafactor, AdamW, Lion, Muon, RMSprop
from lmbook.parallel import (
    FullyShardedDataParallel,
    ZeroRedundancyOptimizer,
    buckets,
    checkpoint,
    clip_grad_norm_,
    flatten,
    unflatten,
)
from tests.parallel.programs import adam, gradients, loss, network, part, ring_sum, state, step_with

CONFIG = GPTConfig(vocab_size=11, block_size=6, n_layer=2, n_head=2, n_embd=8)
OPTIMISERS = {
    "adamw": adam,
    "sgd": lambda ps: SGD(ps, lr=0.1, momentum=0.9, weight_decay=0.01),
    "rmsprop": lambda ps: RMSprop(ps, lr=0.01),
    "lion": lambda ps: Lion(ps, lr=0.01),
}


def oracle(ranks, groups_of, dtype, steps, make=adam, build=network, clip=None):
    """One process that adds the ranks' gradients in the ring's order, group by group of parameters."""
    with backend.using(np.random.default_rng([0, 0])):
        model = build(dtype=dtype)
    optimizer = make(model.parameters())
    parameters = list(model.parameters())
    place = {id(p): i for i, p in enumerate(parameters)}
    for s in range(steps):
        each = [gradients(model, *part(s, r, ranks, dtype)) for r in range(ranks)]
        mean = [np.empty(0)] * len(parameters)
        for group in groups_of(model):
            of = [place[id(p)] for p in group]
            flat = ring_sum([flatten(g[i] for i in of) for g in each]) / dtype(ranks)
            for i, g in zip(of, unflatten(flat, group)):
                mean[i] = g
        step_with(model, optimizer, mean)
    return state(model)


def zero(comm, stage, dtype, nbytes, steps, make):
    model = network(dtype=dtype)
    optimizer = ZeroRedundancyOptimizer(model, comm, make, stage, nbytes)
    for s in range(steps):
        loss(model, *part(s, comm.rank, comm.size, dtype)).backward()
        if stage == 2:
            assert all(p.grad is None for p in model.parameters())
        optimizer.step()
        optimizer.zero_grad()
    kept = sum(
        a.size for e in optimizer.inner.state.values() for a in e.values() if hasattr(a, "size")
    )
    return state(model), kept


@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("ranks", "nbytes"), [(1, None), (2, 0), (3, 200), (8, None)])
def test_zero_1_and_2_have_the_bits_of_data_parallel(stage, dtype, ranks, nbytes) -> None:
    told = run(zero, ranks, stage, dtype, nbytes, 6, adam)
    want = oracle(ranks, lambda m: buckets(list(m.parameters()), nbytes), dtype, 6)
    for got, _ in told:
        np.testing.assert_array_equal(got, want)
    assert sum(kept for _, kept in told) == 2 * want.size  # the moments, once in all
    assert max(kept for _, kept in told) <= 2 * (want.size / ranks + 6)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers_of_single_entries_work_on_blocks(name) -> None:
    make = OPTIMISERS[name]
    want = oracle(2, lambda m: buckets(list(m.parameters()), None), np.float64, 4, make)
    for stage in (1, 2):
        np.testing.assert_array_equal(run(zero, 2, stage, np.float64, None, 4, make)[1][0], want)
    want = oracle(2, grouped("root"), np.float64, 4, make)
    np.testing.assert_array_equal(run(fsdp, 2, np.float64, "root", 4, make)[1][0], want)


def fsdp(comm, dtype, what, steps, make=adam):
    model = network(dtype=dtype)
    units = {"root": (), "linear": (nn.Linear,), "all": (nn.Linear, nn.LayerNorm)}[what]
    model = FullyShardedDataParallel(model, comm, units)
    optimizer = make(model.parameters())
    for s in range(steps):
        loss(model, *part(s, comm.rank, comm.size, dtype)).backward()
        for (
            p
        ) in model.module.parameters():  # released: of the right shape, but no memory and no value
            assert p.grad is None and np.isnan(p.data).all() and not any(p.data.strides)
        optimizer.step()
        optimizer.zero_grad()
    with no_grad():
        loss(model, *part(0, 0, 1, dtype))
    kept = sum(p.data.size for p in model.parameters())
    full = model.state_dict()
    return np.concatenate([full[n].reshape(-1) for n, _ in model.module.named_parameters()]), kept


def grouped(what):
    def groups(model):
        if what == "root":
            return [list(model.parameters())]
        kinds = (nn.Linear,) if what == "linear" else (nn.Linear, nn.LayerNorm)
        inside = [list(m.parameters()) for m in model.modules() if isinstance(m, kinds)]
        taken = {id(p) for g in inside for p in g}
        left = [p for p in model.parameters() if id(p) not in taken]
        return [*inside, left] if left else inside

    return groups


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("ranks", "what"), [(1, "all"), (2, "root"), (3, "linear"), (4, "all"), (8, "all")]
)
def test_zero_3_has_the_bits_of_data_parallel(dtype, ranks, what) -> None:
    told = run(fsdp, ranks, dtype, what, 6)
    want = oracle(ranks, grouped(what), dtype, 6)
    for got, _ in told:
        np.testing.assert_array_equal(got, want)
    assert sum(kept for _, kept in told) == want.size


@pytest.mark.parametrize("mode", ["buffering", "rendezvous"])
def test_bytes_are_the_closed_forms(mode) -> None:
    n = state(network()).nbytes
    for ranks in (2, 3, 4):
        one = (ranks - 1) * n

        def traffic(fn, args, ranks=ranks):
            few, more = (run(fn, ranks, *args(k), mode=mode).log.total_bytes for k in (1, 3))
            return (more - few) / 2

        for stage in (1, 2):
            assert (
                traffic(zero, lambda k, stage=stage: (stage, np.float64, 200, k, adam)) == 2 * one
            )
        assert traffic(fsdp, lambda k: (np.float64, "all", k)) == 3 * one
        assert traffic(fsdp, lambda k: (np.float64, "root", k)) == 2 * one


# --- The book's GPT --------------------------------------------------------------------------------


def tokens(step, i, parts):
    x = np.random.default_rng([4, step]).integers(0, CONFIG.vocab_size, (8, CONFIG.block_size + 1))
    x = x[8 * i // parts : 8 * (i + 1) // parts]
    return Tensor(x[:, :-1]), Tensor(x[:, 1:])


def gpt_loss(model, x, y):
    return F.cross_entropy(model(x).reshape(-1, CONFIG.vocab_size), y.reshape(-1))


def gpt(comm, steps, dtype=np.float64):
    model = FullyShardedDataParallel(GPT(CONFIG).to(dtype), comm, (Block,))
    optimizer = AdamW(model.parameters(), lr=0.01)
    for s in range(steps):
        gpt_loss(model, *tokens(s, comm.rank, comm.size)).backward()
        norm = clip_grad_norm_(model.parameters(), 0.5, comm)
        optimizer.step()
        optimizer.zero_grad()
    return model.state_dict(), norm, len(model.units)


def test_a_gpt_with_tied_weights_trains_as_one_process() -> None:
    with backend.using(np.random.default_rng([0, 0])):
        model = GPT(CONFIG).double()
    optimizer = AdamW(model.parameters(), lr=0.01)
    for s in range(4):
        optimizer.zero_grad()
        gpt_loss(model, *tokens(s, 0, 1)).backward()
        norm = nn.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
    for ranks in (1, 2, 4):
        for full, got, units in run(gpt, ranks, 4):
            assert units == 3 and got == pytest.approx(norm, rel=1e-12) and norm > 0.5
            assert full.keys() == model.state_dict().keys()
            for key, value in model.state_dict().items():
                np.testing.assert_allclose(full[key], value, atol=1e-12)


# --- Recomputation ---------------------------------------------------------------------------------


def test_recomputation_changes_no_bit_also_with_dropout_and_keeps_only_inputs() -> None:
    def grads(wrap):
        backend.manual_seed(3)
        layers = [nn.Sequential(nn.Linear(5, 5), nn.GELU(), nn.Dropout(0.4)) for _ in range(3)]
        x = Tensor(
            np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32), requires_grad=True
        )
        y, calls = x, []
        for layer in layers:
            layer.register_forward_hook(lambda *a: calls.append(1))
            y = wrap(layer, y)
        y.square().sum().backward()
        return [x.grad.data, *(p.grad.data for m in layers for p in m.parameters())], len(calls), nn

    plain, once, _ = grads(lambda f, x: f(x))
    again, twice, _ = grads(checkpoint)
    assert (once, twice) == (3, 6)
    for a, b in zip(plain, again, strict=True):
        np.testing.assert_array_equal(a, b)
    draws = []
    for wrap in (lambda f, x: f(x), checkpoint):  # the generator goes on where it was
        grads(wrap)
        draws.append(backend.default_generator().random())
    assert draws[0] == draws[1]
    with pytest.raises(TypeError, match="must return one tensor, not tuple"):
        checkpoint(lambda x: (x, x), Tensor(np.ones(2)))


def test_errors_name_what_is_wrong() -> None:
    def fails(fn, match):
        with pytest.raises(RankError, match=match):
            run(fn, 2)

    for make in (Muon, Adafactor):
        fails(lambda c, make=make: ZeroRedundancyOptimizer(nn.Linear(2, 2, bias=False), c, lambda ps: make(
            [Tensor(np.ones((2, 2)), requires_grad=True)])), "needs whole tensors")  # fmt: skip
    fails(lambda c: ZeroRedundancyOptimizer(network(), c, adam, 3), "stage 3; 1 or 2")
    fails(
        lambda c: FullyShardedDataParallel(network(), c, shards=3),
        "3 logical shards do not divide among 2",
    )
    fails(
        lambda c: FullyShardedDataParallel(network(), c, (nn.Sequential, nn.Linear)),
        "belongs to two units",
    )

    def mixed(c):
        model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double())
        FullyShardedDataParallel(model, c)

    fails(mixed, r"one dtype, not \['float32', 'float64'\]")

    def unused(c, stage):
        class Half(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = network(), nn.Linear(2, 9).double()

            def forward(self, x):
                return self.a(x)

        model = Half()
        if stage == 3:
            model = FullyShardedDataParallel(model, c)
        else:
            optimizer = ZeroRedundancyOptimizer(model, c, adam, stage)
        for _ in range(2):
            loss(model, *part(0, 0, 1)).backward()
            if stage < 3:
                optimizer.step()

    for stage in (2, 3):
        fails(
            lambda c, stage=stage: unused(c, stage),
            r"gave no gradient to parameters of shapes \[.*\(9, 2\)",
        )
