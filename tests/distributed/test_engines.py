"""One program on PyTorch, MPI and Ray gives the simulator's bits, also under torchrun and mpirun."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lmbook.backend import MissingDependency
from lmbook.distributed import CommError, RankError, RankLost, run
from lmbook.distributed.engines import mpi
from tests.distributed.programs import data, same, tour
from tests.distributed.same_file import fingerprint

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(__file__).with_name("same_file.py")


def have(backend: str) -> bool:
    """Whether a backend can run here. CI must have them all."""
    found = {
        "torch": importlib.util.find_spec("torch") is not None,
        "mpi": importlib.util.find_spec("mpi4py") is not None and mpi.starter() is not None,
        "ray": importlib.util.find_spec("ray") is not None,
    }[backend]
    assert found or backend != "torch", "PyTorch is the reference: it must be installed"
    assert found or "CI" not in os.environ, f"CI needs the backend {backend}"
    return found


def need(backend: str) -> None:
    if not have(backend):
        pytest.skip(f'pip install "lmbook[{backend}]" brings what the backend {backend!r} needs')


def with_native(comm):
    own = comm.all_reduce(data(comm.rank, (999,)), "mean")
    vendor = comm.all_reduce(data(comm.rank, (999,)), "mean", algorithm="native")
    return tour(comm), own, vendor


def failing(comm, kill: bool):
    import os
    import signal

    comm.barrier()
    if comm.rank == 1:
        if kill:
            os.kill(os.getpid(), signal.SIGKILL)
        raise LookupError("rank 1 has lost it")
    comm.recv(1, tag=2)


@pytest.mark.parametrize("backend", ["torch", "mpi"])
def test_the_bits_are_the_simulators_and_the_vendors_sum_is_near(backend: str) -> None:
    need(backend)
    real = run(with_native, 3, backend=backend, seed=5)
    sim = run(tour, 3, seed=5)
    for (toured, own, vendor), want in zip(real, sim, strict=True):
        same(toured, want)
        np.testing.assert_allclose(vendor, own, rtol=1e-12, atol=1e-10)
    log = run(tour, 3, seed=5).log
    np.testing.assert_array_equal(np.diag(real.log.bytes), 0)
    assert (real.log.bytes >= log.bytes).all() and real.backend == backend


@pytest.mark.parametrize("backend", ["torch", "mpi"])
def test_who_fails_is_named(backend: str) -> None:
    need(backend)
    with pytest.raises(
        RankError, match=r"rank 1 failed(?s:.*)LookupError: rank 1 has lost it"
    ) as error:
        run(failing, 2, False, backend=backend)
    assert error.value.rank == 1
    with pytest.raises(RankLost, match=r"rank \d died") as lost:
        run(failing, 2, True, backend=backend)
    # mpirun ends the other ranks at once, and at times reports one of those: the message says so
    assert lost.value.rank == 1 or "may name one that it ended itself" in str(lost.value)


def started(command: list[str]) -> subprocess.CompletedProcess:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env, timeout=120)


def lines_of(done: subprocess.CompletedProcess) -> list[list[str]]:
    assert done.returncode == 0, done.stderr[-3000:]
    return [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("same_file")]


def expected(backend: str, ranks: int) -> list[list[str]]:
    return [[backend, str(ranks), fingerprint(run(tour, ranks, seed=s))] for s in (5, 6)]


def torchrun(ranks: int, *args: str) -> subprocess.CompletedProcess:
    line = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={ranks}",
    ]
    return started([*line, str(FILE), *args])


def mpirun(ranks: int, *args: str) -> subprocess.CompletedProcess:
    program = mpi.starter()
    assert program is not None
    return started([*mpi.command(program, ranks), sys.executable, str(FILE), *args])


def test_the_same_file_under_torchrun() -> None:
    need("torch")
    assert lines_of(torchrun(2)) == expected("torch", 2)


def test_the_same_file_under_mpirun() -> None:
    need("mpi")
    assert lines_of(mpirun(2)) == expected("mpi", 2)


def test_a_failing_rank_ends_mpirun_with_its_traceback() -> None:
    need("mpi")
    done = mpirun(2, "fail")
    assert done.returncode != 0
    assert "rank 1 failed" in done.stderr and "LookupError: rank 1 has lost it" in done.stderr


@pytest.mark.slow
def test_a_failing_rank_ends_torchrun_with_its_traceback() -> None:
    need("torch")
    done = torchrun(2, "fail")
    assert done.returncode != 0 and "LookupError: rank 1 has lost it" in done.stderr


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_ray_starts_the_same_ranks() -> None:
    need("ray")
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        for got, want in zip(
            run(tour, 2, backend="ray", seed=5), run(tour, 2, seed=5), strict=True
        ):
            same(got, want)
        with pytest.raises(RankLost, match="rank 1 died"):
            run(failing, 2, True, backend="ray")
        assert ray.is_initialized()  # a cluster that was there stays
    finally:
        ray.shutdown()


# --- Mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backend", "module"), [("torch", "torch"), ("mpi", "mpi4py.MPI"), ("ray", "ray")]
)
def test_a_library_that_is_missing_is_named(backend: str, module: str, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, module.split(".")[0], None)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependency, match=rf'pip install "lmbook\[{backend}\]"'):
        run(tour, 2, backend=backend)


def test_an_mpirun_that_is_missing_is_named(monkeypatch) -> None:
    need("mpi")
    monkeypatch.setattr(mpi, "STARTERS", ())
    with pytest.raises(MissingDependency, match=r"needs an mpirun"):
        run(tour, 2, backend="mpi")


def test_the_algorithm_native_belongs_to_the_engines() -> None:
    with pytest.raises(CommError, match="'native' is that of PyTorch or MPI"):
        run(lambda c: c.all_reduce(1.0, algorithm="native"), 2)


def test_unknown_backends_and_no_number_of_ranks() -> None:
    with pytest.raises(
        ValueError, match="backend 'cloud' is unknown; there are 'sim', 'replay', 'proc'"
    ):
        run(tour, 2, backend="cloud")
    with pytest.raises(ValueError, match="say how many ranks"):
        run(tour, None)
