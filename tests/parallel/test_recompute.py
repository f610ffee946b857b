"""Recomputation changes no bit, keeps what the formula says, and leaves buffers as they were."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

from lmbook import backend, nn
from lmbook import functional as F
from lmbook.autograd import Tensor
from lmbook.distributed import RankError, run
from lmbook.models.gpt import GPT, Block, GPTConfig
from lmbook.optim import AdamW
from lmbook.parallel import (
    DistributedDataParallel,
    FullyShardedDataParallel,
    ZeroRedundancyOptimizer,
    apply_activation_checkpointing,
    checkpoint,
    checkpoint_sequential,
    latest,
    load_sharded,
    recompute_attention,
    save_sharded,
)
from tests.parallel.programs import adam, loss, part


def deep(segments, n=9):
    backend.manual_seed(1)
    layers = [nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Dropout(0.2)).double() for _ in range(n)]
    x = Tensor(np.random.default_rng(0).normal(size=(400, 6)), requires_grad=True)
    y = x
    if segments == 0:
        for layer in layers:
            y = layer(y)
    else:
        y = checkpoint_sequential(layers, segments, y)
    return y, lambda: [x.grad.data, *(p.grad.data for m in layers for p in m.parameters())]


@pytest.mark.parametrize("segments", [None, 1, 2, 4, 9])
def test_segments_change_no_bit(segments) -> None:
    plain, want = deep(0)
    plain.square().sum().backward()
    y, got = deep(segments)
    y.square().sum().backward()
    for a, b in zip(want(), got(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_segments_of_the_square_root_keep_least() -> None:
    def peak(segments):
        deep(min(segments, 2), 2)
        gc.collect()
        tracemalloc.start()
        y, _ = deep(segments, 36)
        y.square().sum().backward()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peaks = {s: peak(s) for s in (0, 1, 6, 36)}
    assert min(peaks, key=peaks.get) == 6
    assert peaks[6] < 0.4 * peaks[0]
    for wrong in (0, 4):
        with pytest.raises(ValueError, match=f"{wrong} segments of 3 functions; take 1 to 3"):
            checkpoint_sequential([F.tanh] * 3, wrong, Tensor(np.ones(2)))


def normed():
    return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3)).double()


class Wrapper(nn.Module):
    """A model that holds another one, which can be a unit then."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


CALLS = {
    "plain": lambda m, c: m,
    "checkpoint": lambda m, c: lambda x: checkpoint(m, x),
    "method": lambda m, c: lambda x: checkpoint(m.forward, x),
    "applied": lambda m, c: apply_activation_checkpointing(m, (nn.Sequential,)),
    "segments": lambda m, c: lambda x: checkpoint_sequential(list(m), 2, x),
    "fsdp": lambda m, c: FullyShardedDataParallel(Wrapper(m), c, (nn.Sequential,)),
}


def test_buffers_see_each_batch_once() -> None:
    def program(comm, how):
        backend.manual_seed(4)
        model = normed()
        call = CALLS[how](model, comm)
        for s in range(3):
            loss(call, *part(s, 0, 1)).backward()
        return [b.data.copy() for _, b in model.named_buffers()]

    want = run(program, 1, "plain")[0]
    assert want[2] == 3
    for how in CALLS:
        for a, b in zip(run(program, 1, how)[0], want, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=how)


CONFIG = GPTConfig(vocab_size=11, block_size=24, n_layer=3, n_head=2, n_embd=8, dropout=0.1)


def gpt_loss(model, x, y):
    return F.cross_entropy(model(x).reshape(-1, CONFIG.vocab_size), y.reshape(-1))


def tokens(step, i, parts):
    x = np.random.default_rng([4, step]).integers(0, CONFIG.vocab_size, (4, CONFIG.block_size + 1))
    x = x[4 * i // parts : 4 * (i + 1) // parts]
    return Tensor(x[:, :-1]), Tensor(x[:, 1:])


HOWS = {
    "none": lambda m: m,
    "full": lambda m: apply_activation_checkpointing(m, (Block,)),
    "selective": recompute_attention,
}


def trained_gpt(comm, how, kind, steps=2):
    model = HOWS[how](GPT(CONFIG).double())
    if kind == "fsdp":
        model = FullyShardedDataParallel(model, comm, (Block,))
        optimizer = AdamW(model.parameters(), lr=0.01)
    elif kind == "zero":
        optimizer = ZeroRedundancyOptimizer(model, comm, lambda ps: AdamW(ps, lr=0.01), 2)
    else:
        model = DistributedDataParallel(model, comm)
        optimizer = AdamW(model.parameters(), lr=0.01)
    for s in range(steps):
        gpt_loss(model, *tokens(s, comm.rank, comm.size)).backward()
        optimizer.step()
        optimizer.zero_grad()
    full = model.state_dict()
    return np.concatenate([np.asarray(v).reshape(-1) for v in full.values()])


@pytest.mark.parametrize("kind", ["ddp", "zero", "fsdp"])
def test_recomputation_changes_no_bit_under_all_kinds_of_data_parallelism(kind) -> None:
    want = run(trained_gpt, 2, "none", kind)
    for how in ("full", "selective"):
        for a, b in zip(run(trained_gpt, 2, how, kind), want, strict=True):
            np.testing.assert_array_equal(a, b)


def kept(how, layers):
    """Bytes that the graph of a GPT holds between the two passes."""
    backend.manual_seed(0)
    model = HOWS[how](GPT(GPTConfig(16, 64, layers, 4, 64)))
    x = Tensor(np.random.default_rng(0).integers(0, 16, (4, 64)))
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    y = model(x)
    found = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert y.requires_grad
    return found


def test_a_layer_keeps_what_the_formula_says() -> None:
    """In float32 and without dropout: 4 a s^2 b for the softmax, and one input, 4 s b h, after full
    recomputation; what else is kept does not depend on the length (Korthikanti et al. 2022, section 4)."""
    one = 4 * 64 * 64
    layer = {}
    for how in HOWS:
        kept(how, 1)  # what is imported or cached at the first call
        layer[how] = (kept(how, 5) - kept(how, 1)) / 4 / one
    assert layer["none"] - layer["selective"] == pytest.approx(4 * 4 * 64 / 64, abs=0.6)
    assert layer["full"] == pytest.approx(4, abs=0.6)
    assert 64 <= layer["selective"] < 80


def test_recomputation_says_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="Linear holds no Block"):
        apply_activation_checkpointing(nn.Linear(2, 2), (Block,))
    with pytest.raises(ValueError, match="Linear has no module with a method attend"):
        recompute_attention(nn.Linear(2, 2))

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.shared, self.last = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 3)

        def forward(self, x):
            return self.last(checkpoint(self.shared, checkpoint(self.shared, self.first(x))))

    def twice(comm, kind):
        model = Twice().double()
        if kind == "ddp":
            model = DistributedDataParallel(model, comm, bucket_bytes=None)
        else:
            ZeroRedundancyOptimizer(model, comm, adam, 2, None)
        loss(model, *part(0, 0, 1)).backward()

    for kind in ("ddp", "zero"):
        with pytest.raises(RankError, match="second gradient"):
            run(twice, 1, kind)


# --- Buffers in checkpoints ------------------------------------------------------------------------


def with_buffers(comm, folder, steps, save=True, load=True):
    model = FullyShardedDataParallel(normed(), comm, (nn.Linear,))
    optimizer, start = adam(model.parameters()), 0
    if load and (path := latest(folder)) is not None:
        start = load_sharded(path, model.units, optimizer, model.module)["step"]
    for s in range(start, steps):
        loss(model, *part(s, 0, 1)).backward()
        optimizer.step()
        optimizer.zero_grad()
    if save:
        save_sharded(
            folder, steps, model.units, optimizer, module=model.module if save is True else None
        )
    model.eval()
    return model.state_dict()


def test_running_means_travel_with_a_checkpoint(tmp_path) -> None:
    want = run(with_buffers, 2, tmp_path, 5, False, False)[0]
    run(with_buffers, 2, tmp_path, 3)
    for got in run(with_buffers, 4, tmp_path, 5, False):
        assert got["1.num_batches_tracked"] == 5
        for key, value in want.items():
            np.testing.assert_allclose(got[key], value, atol=1e-12, err_msg=key)

    def other(comm, path, model):
        model = FullyShardedDataParallel(model, comm, (nn.Linear,))
        load_sharded(path, model.units, adam(model.parameters()), model.module)

    wider = nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.Tanh(), nn.Linear(4, 3)).double()
    with pytest.raises(RankError, match=r"buffers .*1\.running_mean"):
        run(other, 1, latest(tmp_path), wider)
    run(with_buffers, 2, tmp_path / "bare", 1, "bare")
    with pytest.raises(RankError, match="has no buffers; save with module=model"):
        run(other, 1, latest(tmp_path / "bare"), normed())
