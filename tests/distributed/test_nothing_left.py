"""No process, folder, shared memory or port is left, however a run ends, on every backend with processes."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lmbook.distributed import RankError, RankLost, run
from tests.distributed.test_engines import need
from tests.distributed.test_processes import ROOT, _answers, gone

PROGRAM = """
import sys
from lmbook.distributed import run

def fn(comm, folder):
    import os, time
    import numpy as np
    open(f"{folder}/pid-{comm.rank}", "w").write(str(os.getpid()))
    comm.all_reduce(np.ones(100_000))
    open(f"{folder}/in-{comm.rank}", "w").close()
    if comm.rank == 0:
        time.sleep(100)
    comm.recv(0)

def go(backend, folder):
    return run(fn, 2, folder, backend=backend)
"""
RAY = pytest.param("ray", signal.SIGINT, marks=pytest.mark.slow)


class Place:
    """Two folders: where ranks tell their numbers, and where everything temporary must go."""

    def __init__(self) -> None:
        self.told = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
        self.temporary = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))  # Ray's names must be short
        self.env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(self.temporary)}

    def ranks(self) -> list[int]:
        """The processes of both ranks, when they are in the middle of their function."""
        limit = time.monotonic() + 200
        while not all((self.told / f"in-{r}").exists() for r in range(2)):
            assert time.monotonic() < limit, "the ranks did not start"
            time.sleep(0.05)
        return [int((self.told / f"pid-{r}").read_text()) for r in range(2)]

    def check_empty(self, pids: list[int], seconds: float = 15) -> None:
        """The ranks and their folders go away, and no segment was mapped that still has a name."""
        assert gone(pids, seconds)
        limit = time.monotonic() + seconds
        while left := sorted(p.name for p in self.temporary.iterdir()):
            assert time.monotonic() < limit, left
            time.sleep(0.05)


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    for folder in (made.told, made.temporary):
        shutil.rmtree(folder, ignore_errors=True)


def named_segments(pids: list[int]) -> list[str]:
    """Names in /dev/shm of what the processes have mapped, and that others could still open."""
    found = set()
    for pid in pids:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            name = line.split(maxsplit=5)[-1]
            if name.startswith("/dev/shm/") and not name.endswith("(deleted)"):
                found.add(name)
    return sorted(found)


@pytest.mark.parametrize(
    ("backend", "number"),
    [*itertools.product(["proc", "torch", "mpi"], [signal.SIGINT, signal.SIGKILL]), RAY],
)
def test_nothing_is_left_of_a_script_that_is_stopped(backend: str, number, place: Place) -> None:
    if backend != "proc":
        need(backend)
    script = PROGRAM + f"\ngo({backend!r}, {str(place.told)!r})\n"
    caller = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env=place.env,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with caller:
        pids = place.ranks()
        segments = named_segments(pids) if Path("/proc/self/maps").exists() else []
        caller.send_signal(number)
        assert caller.stderr is not None
        said = caller.stderr.read()
        caller.wait(30)
    assert ("KeyboardInterrupt" in said) == (number == signal.SIGINT), said
    place.check_empty(pids)
    assert backend == "ray" or segments == []


def failing(comm, how: str) -> None:
    comm.all_reduce(np.ones(100_000))
    if comm.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL) if how == "kill" else 1 / 0
    comm.recv(1, tag=2)


@pytest.mark.parametrize("how", ["kill", "raise"])
@pytest.mark.parametrize("backend", ["proc", "torch", "mpi"])
def test_nothing_is_left_of_a_rank_that_fails(
    backend: str, how: str, tmp_path, monkeypatch
) -> None:
    if backend != "proc":
        need(backend)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    files = len(os.listdir("/dev/fd"))
    with pytest.raises(RankLost if how == "kill" else RankError) as caught:
        run(failing, 2, how, backend=backend)
    if (backend, how) != ("mpi", "kill"):  # mpirun kills the other, and may report that one
        assert caught.value.rank == 1
    assert list(tmp_path.iterdir()) == [] and len(os.listdir("/dev/fd")) == files


# --- A kernel of Jupyter -------------------------------------------------------------------------


@pytest.fixture
def kernel(place: Place) -> Iterator[Callable]:
    """A real kernel; calling it starts a cell with ranks in the background."""
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env=place.env, cwd=str(ROOT))
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)

    def cell(backend: str) -> list[int]:
        code = PROGRAM + f"\ngo({backend!r}, {str(place.told)!r})"
        # An error would make the kernel refuse what comes in the next moment: the test asks at once.
        cell.asked = client.execute(code, stop_on_error=False)  # type: ignore[attr-defined]
        return place.ranks()

    def reply(asked: str) -> dict:
        while True:
            message = client.get_shell_msg(timeout=60)
            if message["parent_header"].get("msg_id") == asked:
                return message["content"]

    cell.manager, cell.client, cell.reply = manager, client, reply  # type: ignore[attr-defined]
    yield cell
    client.stop_channels()
    if manager.is_alive():
        manager.shutdown_kernel(now=True)
    manager.cleanup_resources()
    manager.context.destroy(linger=0)


@pytest.mark.parametrize("backend", ["proc", pytest.param("torch", marks=pytest.mark.slow),
                                     pytest.param("mpi", marks=pytest.mark.slow)])  # fmt: skip
@pytest.mark.parametrize("how", ["interrupt", "restart", "kill"])
def test_nothing_is_left_of_a_notebooks_cell(backend: str, how: str, kernel, place: Place) -> None:
    if backend != "proc":
        need(backend)
    pids = kernel(backend)
    assert all(map(_answers, pids))
    if how == "interrupt":
        kernel.manager.interrupt_kernel()
        reply = kernel.reply(kernel.asked)
        assert reply["status"] == "error" and reply["ename"] == "KeyboardInterrupt", reply
    elif how == "restart":
        kernel.manager.restart_kernel(now=True)
    else:
        kernel.manager.signal_kernel(signal.SIGKILL)
    place.check_empty(pids)
    if how == "interrupt":  # the kernel lives and its next run works
        again = "print(run(lambda comm: comm.all_reduce(1.0), 2, backend='proc'))"
        reply = kernel.reply(kernel.client.execute(again))
        assert reply["status"] == "ok", reply
