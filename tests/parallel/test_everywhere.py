"""Every kind of parallelism on 2, 3, 4 and 8 ranks: processes, gloo, MPI and Ray have the bits of `sim`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lmbook import backend
from lmbook.distributed import run
from tests.distributed.same_file import fingerprint
from tests.distributed.test_engines import need
from tests.parallel import test_data_parallel, test_elastic
from tests.parallel.every_size import SIZES, STEPS, everything
from tests.parallel.programs import full_batch
from tests.parallel.same_file import every_kind

FILE = Path(__file__).with_name("same_file.py")
ROOT = FILE.parents[2]


def flat(results):
    return [[(k, fingerprint([v])) for k, v in sorted(told.items())] for told in results]


@pytest.mark.filterwarnings("ignore")  # Ray's
@pytest.mark.parametrize(
    "name", ["proc", "mpi", *(pytest.param(b, marks=pytest.mark.slow) for b in ("torch", "ray"))]
)
def test_real_messages_give_the_simulators_bits(name: str, tmp_path) -> None:
    if name != "proc":
        need(name)
    brief = name != "proc"  # eight ranks that spin or have many threads, on two cores
    ranks = 4 if name == "ray" else 8
    real = run(everything, ranks, tmp_path / "many", brief, seed=5, backend=name, timeout=120)
    sim = run(everything, ranks, tmp_path / "sim", brief, seed=5)
    assert flat(kinds for kinds, _ in real) == flat(kinds for kinds, _ in sim)
    assert real.backend == name
    found = {name for told, _ in real for name in told}
    for size in SIZES:
        if size > ranks:
            continue
        assert sum(n.startswith(f"{size}: ") for n in found) >= (11 if brief else 22)
    if name == "proc":
        np.testing.assert_array_equal(real.log.bytes, sim.log.bytes)
    # and training that went on with 8, 4, 3, 2 real ranks is one process's, weights and moments
    want, _ = run(test_elastic.train, 1, tmp_path / "one", 2, np.float32, max(STEPS.values()))[0]
    for _, state in list(real)[:2]:
        test_elastic.same(state, want)


def vendors(comm):
    """Data parallel by the ring, and by the sum of PyTorch or MPI itself."""
    told = []
    for algorithm in ("ring", "native"):
        for dtype in (np.float64, np.float32):
            with backend.using(np.random.default_rng([0, comm.rank])):
                told.append(test_data_parallel.ddp(comm, dtype, algorithm=algorithm)[1])
    return told


@pytest.mark.parametrize("name", ["mpi", pytest.param("torch", marks=pytest.mark.slow)])
def test_twenty_steps_with_the_ring_s_or_the_vendor_s_sum_are_near_the_full_batch(name) -> None:
    need(name)
    told = run(vendors, 4, backend=name)
    for got, dtype, tol in zip(told[0], [np.float64, np.float32] * 2, [4e-15, 4e-6] * 2):
        np.testing.assert_allclose(got, full_batch(20, dtype), rtol=0, atol=tol)
    for other in told[1:]:
        for a, b in zip(told[0], other):
            np.testing.assert_array_equal(a, b)


def test_rendezvous_changes_nothing() -> None:
    sims = [run(every_kind, 4, seed=5, mode=mode) for mode in ("buffering", "rendezvous")]
    assert flat(sims[0]) == flat(sims[1])


@pytest.mark.slow
def test_torchrun_runs_the_same_file() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=4", str(FILE)],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    want = fingerprint(run(every_kind, 4, seed=5))
    assert f"same_file torch 4 {want}" in done.stdout
