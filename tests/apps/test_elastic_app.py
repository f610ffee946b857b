"""The program of section 3.3.6: any launcher, any number of ranks, and crashes give the bits of one rank."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lmbook import backend
from lmbook import functional as F
from lmbook.apps import elastic
from lmbook.autograd import Tensor
from lmbook.distributed import Crash, run
from lmbook.distributed.engines import mpi
from lmbook.optim import AdamW
from lmbook.parallel import run_elastic
from tests.distributed.test_engines import need

ROOT = Path(__file__).resolve().parents[2]
STEPS = 12


@pytest.fixture(scope="module")
def digits():
    return elastic.digits()


@pytest.fixture(scope="module")
def one(digits, tmp_path_factory):
    """The state after twelve steps of one rank that never stops."""
    return run(elastic.train, 1, tmp_path_factory.mktemp("one"), digits, STEPS)[0][1]


def same(got, want) -> None:
    assert got.keys() == want.keys() == {"0.weight", "0.exp_avg", "0.exp_avg_sq", "0.step"}
    for name, value in want.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)


def test_eight_ranks_then_four_then_two_have_the_bits_of_one(tmp_path, digits, one) -> None:
    seen: list[tuple[int, int, float]] = []

    def fn(comm):
        def watch(step, loss):
            seen.append((step, comm.size, loss))

        return elastic.train(comm, tmp_path, digits, STEPS, 3, watch=watch)

    told, lost = run_elastic(fn, [8, 4, 2], faults=[[Crash(5, 5.5)], [Crash(2, 9.5)]])
    assert [e.rank for e in lost] == [5, 2]
    for start, state in told:
        assert start == 6
        same(state, one)
    losses: dict[int, float] = {}
    for step, _, loss in seen:  # a step that was done twice had the same loss, to the bit
        assert losses.setdefault(step, loss) == loss
    assert sorted(losses) == list(range(STEPS)) and {r for _, r, _ in seen} == {8, 4, 2}
    assert len(seen) > STEPS and losses[STEPS - 1] < losses[0] - 0.3


@pytest.mark.parametrize("ranks", [3, 5])
def test_ranks_that_divide_nothing(ranks, tmp_path, digits, one) -> None:
    same(run(elastic.train, ranks, tmp_path, digits, STEPS)[-1][1], one)


def test_it_is_training_as_in_the_text_books(digits, one) -> None:
    """A plain loop over whole batches, with the same masks, ends near the same weights."""
    images, labels = digits
    with backend.using(np.random.default_rng([0, 0])):
        model = elastic.network()
    optimizer = AdamW(model.parameters(), lr=elastic.RATE)
    first, _, drop, last = model
    size = elastic.BATCH // elastic.SHARDS
    for step in range(STEPS):
        batch = elastic.rows(step, len(labels))
        masks = []
        for i in range(elastic.SHARDS):
            with backend.using(elastic.stream(step, i)):
                masks.append(drop(Tensor(np.ones((size, 64), np.float32))).data)
        hidden = F.relu(first(Tensor(images[batch]))) * Tensor(np.concatenate(masks))
        optimizer.zero_grad()
        F.cross_entropy(last(hidden), Tensor(labels[batch])).backward()
        optimizer.step()
    flat = np.concatenate([p.data.reshape(-1) for p in reversed(list(model.parameters()))])
    np.testing.assert_allclose(one["0.weight"], flat, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "equal"),
    [
        ({}, True),
        ({"stream": lambda step, shard: backend.default_generator()}, False),
        ({"rows": lambda step, n: elastic.rows(step - 6, n)}, False),
        ({"load": lambda path, units, inner: forget(path, units, inner)}, False),
    ],
    ids=["nothing", "random stream", "data order", "moments"],
)
def test_what_a_resume_must_not_forget(change, equal, tmp_path, digits, one) -> None:
    run(elastic.train, 4, tmp_path, digits, 6)

    def fn(comm):
        return elastic.train(comm, tmp_path, digits, STEPS, **change)

    _, state = run(fn, 2)[0]
    assert np.array_equal(state["0.weight"], one["0.weight"]) is equal


def forget(path, units, inner):
    told = elastic.load_sharded(path, units, inner)
    inner.state.clear()
    return told


def test_every_epoch_has_each_example_once_and_its_own_order() -> None:
    n, per = 3500, 3500 // elastic.BATCH
    epochs = [np.concatenate([elastic.rows(e * per + i, n) for i in range(per)]) for e in (0, 1)]
    for seen in epochs:
        assert len(set(seen.tolist())) == per * elastic.BATCH
    assert (epochs[0] != epochs[1]).mean() > 0.9


def started(command: list[str]) -> str:
    env = {
        **os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.slow
def test_torchrun_goes_on_where_mpirun_stopped_and_processes_end_it(tmp_path, one, capfd) -> None:
    need("mpi")
    need("torch")
    program, folder = mpi.starter(), str(tmp_path)
    assert program is not None
    module = ["-m", "lmbook.apps.elastic", folder, "--steps"]
    said = started([*mpi.command(program, 3), sys.executable, *module, "4"])
    assert said.startswith("mpi, 3 ranks, steps 0 to 4: ")
    torchrun = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
    ]  # fmt: skip
    said = started([*torchrun, *module, "8"])
    assert said.startswith("torch, 2 ranks, steps 4 to 8: ")
    elastic.main([folder, "--steps", str(STEPS), "--ranks", "2"])
    said = capfd.readouterr().out.strip()
    assert said == f"proc, 2 ranks, steps 8 to {STEPS}: {elastic.fingerprint(one)}"
