"""Checkpoints that reshard, crashes that are named, and the headline: 8, 4, 2 ranks have the bits of 1."""

from __future__ import annotations

import itertools
import math
import os
import random
import shutil
import signal
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lmbook import nn
from lmbook.autograd import Tensor
from lmbook.distributed import Crash, RankError, RankLost, run
from lmbook.optim import AdamW
from lmbook.parallel import (
    FullyShardedDataParallel,
    ZeroRedundancyOptimizer,
    clip_grad_norm_,
    latest,
    load_sharded,
    run_elastic,
    save_sharded,
    sharded_checkpoint,
)
from lmbook.parallel.clip import exact_sum
from tests.parallel.programs import adam, loss, network, part

SHARDS, STEPS = 8, 12


def train(comm, folder, stage=3, dtype=np.float32, steps=STEPS, every=3, die=None):
    """The whole training script: resume, train, save every few steps; returns weights and moments."""
    model = network(dtype=dtype)
    if stage == 3:
        model = FullyShardedDataParallel(model, comm, (nn.Linear,), shards=SHARDS)
        optimizer = adam(model.parameters())
        units, mine, inner, step = model.units, model.mine, optimizer, optimizer.step
    else:
        zero = ZeroRedundancyOptimizer(model, comm, adam, stage, 200, shards=SHARDS)
        units, mine, inner, step = zero.units, zero.mine, zero.inner, zero.step
    start = 0
    if (path := latest(folder)) is not None:
        start = load_sharded(path, units, inner)["step"]
        for u in units if stage < 3 else ():
            u.gather()
    for s in range(start, steps):
        for i in mine:
            comm.compute(1.0)
            loss(model, *part(s, i, SHARDS, dtype)).backward()
        if die == (comm.size, comm.rank, s):
            os.kill(os.getpid(), signal.SIGKILL)
        clip_grad_norm_([u.block for u in units], 0.5, comm)
        step()
        for u in units:
            u.block.grad = None
        if (s + 1) % every == 0:
            save_sharded(folder, s + 1, units, inner, {"sizes": comm.size})
    state = {}
    for i, u in enumerate(units):
        for key, x in {"weight": u.block.data, **inner.state[id(u.block)]}.items():
            state[f"{i}.{key}"] = (
                np.concatenate(comm.all_gather(x)) if isinstance(x, np.ndarray) else x
            )
    return state, start


def same(got, want):
    assert got.keys() == want.keys() and len(want) >= 12
    for key in want:
        np.testing.assert_array_equal(got[key], want[key], err_msg=key)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_eight_ranks_crash_four_crash_two_equal_one_to_the_bit(tmp_path, stage, dtype) -> None:
    want, _ = run(train, 1, tmp_path / "one", stage, dtype)[0]
    rng = random.Random(stage)
    crashes = [
        Crash(rng.randrange(8), 4.0 + rng.random()),
        Crash(rng.randrange(4), 7.0 + 3 * rng.random()),
    ]
    # eight ranks take 1 s a step and die in step 4 or 5; four take 2 s from step 3 and die three steps on
    told, lost = run_elastic(
        train, [8, 4, 2], tmp_path / "many", stage, dtype, faults=[[c] for c in crashes]
    )
    assert [e.rank for e in lost] == [c.rank for c in crashes]
    assert all(f"rank {c.rank} died" in str(e) for c, e in zip(crashes, lost))
    for state, start in told:
        assert start == 6
        same(state, want)


def test_the_number_of_ranks_may_grow_and_any_number_suits_stages_1_and_2(tmp_path) -> None:
    want, _ = run(train, 1, tmp_path / "one", 2)[0]
    for i, ranks in enumerate((3, 5, 7)):
        run(train, ranks, tmp_path / "many", 2, np.float32, 3 * (i + 1))
    same(run(train, 8, tmp_path / "many", 2)[0][0], want)


def test_a_killed_process_is_named_and_the_run_goes_on(tmp_path) -> None:
    want, _ = run(train, 1, tmp_path / "one")[0]

    def fn(comm):  # of four processes, the third kills itself in step 4
        return train(comm, tmp_path / "many", die=(4, 2, 4))

    told, lost = run_elastic(fn, [4, 2], backend="proc")
    assert [e.rank for e in lost] == [2] and "SIGKILL" in str(lost[0])
    assert all(start == 3 for _, start in told)
    same(told[0][0], want)


def test_a_checkpoint_is_whole_or_not_there(tmp_path) -> None:
    """Rank 1 dies between its file and the renaming: the draft is not taken for a checkpoint."""
    run(train, 2, tmp_path, 3, np.float32, 3)
    old = latest(tmp_path)
    files = sorted(p.name for p in old.iterdir())
    assert files == ["index.json", "rank-00000.safetensors", "rank-00001.safetensors"]

    def dies(comm):
        model = FullyShardedDataParallel(
            network(dtype=np.float32), comm, (nn.Linear,), shards=SHARDS
        )
        optimizer = adam(model.parameters())
        load_sharded(old, model.units, optimizer)
        barrier, calls = comm.barrier, []

        def once():
            calls.append(1)
            if len(calls) == 2 and comm.rank == 1:
                raise OSError("disk full")
            barrier()

        comm.barrier = once
        for u in model.units:
            u.comm = comm
        save_sharded(tmp_path, 6, model.units, optimizer)

    with pytest.raises(RankError, match="disk full"):
        run(dies, 2)
    assert latest(tmp_path) == old
    assert (tmp_path / ".step-00000006.draft").is_dir()  # and the next attempt clears it away
    run(train, 2, tmp_path, 3, np.float32, 6)
    assert latest(tmp_path).name == "step-00000006"
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_loading_says_what_does_not_fit(tmp_path) -> None:
    run(train, 2, tmp_path, 3, np.float32, 3)
    path = latest(tmp_path)

    def load(comm, units=(nn.Linear,), make=adam, dtype=np.float32):
        model = FullyShardedDataParallel(network(dtype=dtype), comm, units)
        load_sharded(path, model.units, make(model.parameters()))

    def fails(match, **options):
        with pytest.raises(RankError, match=match):
            run(lambda c: load(c, **options), 1)

    fails("build the same model with the same units", units=())
    fails(r"unit 0 is float32, the model's float64", dtype=np.float64)

    def halves(blocks):
        first, *rest = blocks
        return AdamW([{"params": [first]}, {"params": rest}])

    fails("1 groups, the optimiser has 2", make=halves)
    file = path / "rank-00001.safetensors"
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[-5] ^= 1  # one bit of a number: the format itself does not notice
    for content in (b"torn", bytes(flipped), None):
        file.unlink() if content is None else file.write_bytes(content)
        fails("rank-00001.safetensors missing or damaged")
        for ranks in (2, 3):  # whoever read the file, all know
            with pytest.raises(RankError, match=r"rank-00001\.safetensors missing or damaged"):
                run(load, ranks)
    file.write_bytes(whole)
    run(load, 1)
    (path / "index.json").unlink()
    fails("no complete checkpoint")
    assert latest(tmp_path / "nowhere") is None


def test_the_exact_norm() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=1000) * 10.0 ** rng.integers(-150, 150, 1000)
    whole = exact_sum(x)
    assert float(Fraction(whole, 2**1130)) == math.fsum(x)
    assert whole == exact_sum(x[::-1]) == exact_sum(x[:137]) + exact_sum(x[137:])
    assert exact_sum(np.array([5e-324])) == 2**56 and exact_sum(np.empty(0)) == 0

    def clip(comm, size=60):
        g = np.random.default_rng(1).normal(size=size)
        block = Tensor(g[size * comm.rank // comm.size : size * (comm.rank + 1) // comm.size])
        block.grad = Tensor(block.data.copy())
        norm = clip_grad_norm_([block], 0.1, comm)
        return norm, block.grad.data

    one = run(clip, 1)[0]
    for ranks in (2, 3, 7):
        told = run(clip, ranks)
        assert all(n == one[0] for n, _ in told)
        np.testing.assert_array_equal(np.concatenate([g for _, g in told]), one[1])
    p = Tensor(np.random.default_rng(1).normal(size=60))
    p.grad = Tensor(p.data.copy())
    assert nn.clip_grad_norm_([p], 0.1) == pytest.approx(one[0], rel=1e-14)
    np.testing.assert_allclose(p.grad.data, one[1], rtol=1e-13)

    def broken(comm):
        block = Tensor(np.ones(2))
        block.grad = Tensor(np.array([1.0, np.nan if comm.rank == 1 else 1.0]))
        clip_grad_norm_([block], 1.0, comm)

    with pytest.raises(RankError, match="gradients of rank 1 are not finite"):
        run(broken, 3)


def test_run_elastic_passes_other_errors_on() -> None:
    def bug(comm):
        raise LookupError("a bug")

    with pytest.raises(RankError, match="a bug"):
        run_elastic(bug, [3, 2])
    with pytest.raises(RankLost, match="rank 1 died"):  # the last attempt has no other after it
        run_elastic(lambda c: c.barrier(), [3, 2], faults=[[Crash(1)], [Crash(1)]])
    with pytest.raises(ValueError, match="number of ranks of each attempt"):
        run_elastic(bug, [])


class PowerCut(Exception):
    """The machine stops here."""


@pytest.mark.parametrize("over", [False, True])
def test_a_stop_at_any_moment_of_saving_leaves_a_whole_checkpoint(
    over, tmp_path, monkeypatch
) -> None:
    """Every operation on files is the last one, in turn; a write may leave a part of its bytes."""
    run(train, 2, tmp_path / "one", 2, np.float32, 3)
    run(train, 2, tmp_path / "two", 2, np.float32, 6)
    old, new = latest(tmp_path / "one"), latest(tmp_path / "two")
    count = 0

    def before(moment, real, torn=None):
        def operation(*args, **options):
            nonlocal count
            count += 1
            if count == moment:
                if torn is not None:
                    torn(*args)
                raise PowerCut
            return real(*args, **options)

        return operation

    def half(path, data):
        path.write_bytes(data[: len(data) // 2])

    def some(path, **_):
        for file in sorted(Path(path).glob("*"))[:1]:
            file.unlink()

    def save(comm, folder):
        model = network(dtype=np.float32)
        zero = ZeroRedundancyOptimizer(model, comm, adam, 2, 200, shards=SHARDS)
        load_sharded(new, zero.units, zero.inner)
        step = 3 if over else 6
        save_sharded(folder, step, zero.units, zero.inner, {"sizes": comm.size})

    def content(path):
        return {p.name: p.read_bytes() for p in path.iterdir() if p.suffix == ".safetensors"}

    ends, moment = [], 0
    while True:
        moment, count = moment + 1, 0
        folder = tmp_path / f"try{moment}"
        shutil.copytree(old, folder / old.name)
        with monkeypatch.context() as m:
            write = before(moment, sharded_checkpoint._write, half)
            m.setattr(sharded_checkpoint, "_write", write)
            m.setattr(sharded_checkpoint, "_sync", before(moment, sharded_checkpoint._sync))
            m.setattr(shutil, "rmtree", before(moment, shutil.rmtree, some))
            m.setattr(Path, "rename", before(moment, Path.rename))
            m.setattr(Path, "mkdir", before(moment, Path.mkdir))
            try:
                run(save, 2, folder)
            except RankError as error:
                assert "PowerCut" in str(error)
            else:
                break
        found = latest(folder)
        if (
            found is None
        ):  # between two renamings, when the only checkpoint gives way to its successor
            assert over and (folder / f".{old.name}.old").is_dir()
            found = folder / f".{old.name}.old"
        got = content(found)
        assert got in (content(old), content(new))
        ends.append(got == content(new))
    assert moment >= 9 and ends == sorted(ends) and ends[-1] and not ends[0]


def test_a_kill_at_a_random_moment_leaves_a_whole_checkpoint(tmp_path) -> None:
    """A real SIGKILL, from a clock that knows nothing of what the rank does."""

    def fn(comm, seconds):
        model = network(dtype=np.float32)
        zero = ZeroRedundancyOptimizer(model, comm, adam, 2, 200, shards=SHARDS)
        for step in itertools.count(1):
            if comm.rank == 1 and step == 3:
                threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
            for u in zero.units:
                u.block.data[...] = step
            save_sharded(tmp_path, step, zero.units, zero.inner)

    def read(comm):
        zero = ZeroRedundancyOptimizer(network(dtype=np.float32), comm, adam, 2, 200, shards=SHARDS)
        step = load_sharded(latest(tmp_path), zero.units, zero.inner)["step"]
        return step, {float(x) for u in zero.units for x in u.block.data}

    for seconds in np.random.default_rng().uniform(0, 0.1, 2):
        with pytest.raises(RankLost, match=r"rank 1 died .*SIGKILL"):
            run(fn, 2, seconds, backend="proc")
        for step, values in run(read, 3):
            assert values == {float(step)} and step > 1
