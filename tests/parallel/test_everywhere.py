"""Every kind of parallelism on processes, gloo and MPI, and under torchrun: the simulator's bits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lmbook.distributed import run
from tests.distributed.same_file import fingerprint
from tests.distributed.test_engines import need
from tests.parallel.same_file import every_kind

FILE = Path(__file__).with_name("same_file.py")
ROOT = FILE.parents[2]


def flat(results):
    return [[(k, fingerprint([v])) for k, v in sorted(told.items())] for told in results]


@pytest.mark.parametrize("backend", ["proc", "mpi", pytest.param("torch", marks=pytest.mark.slow)])
def test_real_messages_give_the_simulators_bits(backend: str) -> None:
    if backend != "proc":
        need(backend)
    real, sim = run(every_kind, 4, backend=backend, seed=5), run(every_kind, 4, seed=5)
    assert flat(real) == flat(sim)
    assert real.backend == backend
    if backend == "proc":
        np.testing.assert_array_equal(real.log.bytes, sim.log.bytes)


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
