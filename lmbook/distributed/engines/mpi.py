"""Frames over MPI, under mpirun; or in processes that `run` starts with the mpirun it finds."""

import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from lmbook.backend.errors import MissingDependency, require
from lmbook.distributed.errors import CommError, RankError, RankLost
from lmbook.distributed.log import Log
from lmbook.distributed.wire import WireTransport

HEADER, BODY = 1, 2
START = (
    "import sys; sys.path[:] = {path!r}; "
    "from lmbook.distributed.engines.mpi import main; main({folder!r})"
)
ALIVE, LOST = "alive", "lost"
STARTERS = ("mpirun", "mpiexec")
SIGNS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK")


def launched() -> bool:
    """Whether this process was started by mpirun."""
    return any(sign in os.environ for sign in SIGNS)


def starter() -> str | None:
    """The mpirun next to this Python, where pip puts it, or the one of the system."""
    beside = Path(sys.executable).parent
    for name in STARTERS:
        if (beside / name).exists():
            return str(beside / name)
    return next((found for name in STARTERS if (found := shutil.which(name))), None)


class MPITransport(WireTransport):
    """One rank of MPI.COMM_WORLD."""

    copies = True

    def __init__(self, timeout: float, start: float | None = None) -> None:
        self.MPI = require("mpi4py.MPI", "mpi", "the backend 'mpi'")
        self.comm = self.MPI.COMM_WORLD.Dup()
        super().__init__(self.comm.rank, self.comm.size, timeout, start)
        self._sent: list[Any] = []

    def _push(self, dst: int, header: bytes, body: memoryview) -> None:
        sizes = len(header).to_bytes(4, "big") + len(body).to_bytes(8, "big")
        head = np.frombuffer(sizes + header, np.uint8).copy()
        self._sent.append((self.comm.Isend([head, self.MPI.BYTE], dst, HEADER), head))
        if len(body):
            copy = np.array(body, dtype=np.uint8)
            self._sent.append((self.comm.Isend([copy, self.MPI.BYTE], dst, BODY), copy))
        self._sent = [s for s in self._sent if not s[0].Test()]

    def _flush(self, handle: Any, limit: float) -> bool:
        return True

    def _progress(self, src: int | None, limit: float) -> bool:
        status, idle = self.MPI.Status(), 0
        while not self.comm.Iprobe(self.MPI.ANY_SOURCE, HEADER, status):
            if limit == 0 or time.monotonic() > limit:
                return False
            idle += 1
            if idle > 200:  # look eagerly at first, then leave the processor to others
                time.sleep(5e-5)
        sender = status.Get_source()
        head = np.empty(status.Get_count(self.MPI.BYTE), np.uint8)
        self.comm.Recv([head, self.MPI.BYTE], sender, HEADER)
        data = head.tobytes()
        h, n = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:12], "big")
        body = np.empty(n, np.uint8)
        if n:
            self.comm.Recv([body, self.MPI.BYTE], sender, BODY)
        self._deliver(sender, data[12 : 12 + h], body)
        return True

    def native_all_reduce(self, x: np.ndarray, op: str) -> np.ndarray:
        """MPI's own all-reduce over all ranks."""
        kinds = {"sum": "SUM", "prod": "PROD", "max": "MAX", "min": "MIN", "mean": "SUM"}
        out, x = np.empty_like(x), np.ascontiguousarray(x)
        self.comm.Allreduce(x, out, getattr(self.MPI, kinds[op]))
        return out

    def close(self) -> None:
        """Wait until all that was sent is out and every rank is here, then leave MPI's group."""
        while self._sent:
            self._sent = [s for s in self._sent if not s[0].Test()]
            self._progress(None, 0.0)
        self.comm.Barrier()
        self.comm.Free()

    def abort(self) -> None:
        """End the processes of all ranks."""
        self.MPI.COMM_WORLD.Abort(1)


def launch(
    fn: Callable[..., Any], ranks: int, args: Sequence[Any] = (), *, seed: int = 0,
    timeout: float = 60.0,
) -> tuple[list[Any], Log]:  # fmt: skip
    """Run a rank function in processes that mpirun starts. See `lmbook.distributed.run`."""
    from lmbook.distributed.proc.launch import packed, source_of

    require("mpi4py", "mpi", "the backend 'mpi'")
    program = starter()
    if program is None:
        raise MissingDependency(
            "the backend 'mpi' needs an mpirun: pip install \"lmbook[mpi]\", or one of your system"
        )
    with tempfile.TemporaryDirectory(prefix="lmbook-mpi-") as folder, _held(folder):
        (Path(folder) / "in").write_bytes(
            pickle.dumps((packed(fn, args), seed, timeout, source_of(fn)))
        )
        code = START.format(path=sys.path, folder=folder)
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        status, said, complaint = _run(
            [*command(program, ranks), sys.executable, "-c", code], threads
        )
        sys.stdout.write(said)
        lost = Path(folder) / LOST
        if lost.exists():
            raise RankLost(int(lost.read_text()), f"mpirun ended with code {status}")
        for rank in range(ranks):
            failed = Path(folder) / f"error-{rank}"
            if failed.exists():
                raise RankError(rank, failed.read_text(encoding="utf-8"))
        out = Path(folder) / "out"
        if status or not out.exists():
            for pid in re.findall(r"PID\W*(\d+)", complaint + said):
                for rank in range(ranks):
                    note = Path(folder) / f"pid-{rank}"
                    if note.exists() and note.read_text() == pid:
                        raise RankLost(
                            rank,
                            f"by mpirun, which may name one that it ended itself; code {status}",
                        )
            raise CommError(f"run: {program} ended with code {status}:\n{complaint[-3000:]}")
        return pickle.loads(out.read_bytes())


@contextmanager
def _held(folder: str) -> Iterator[None]:
    """Hold a lock that the ranks wait for: the system lets go of it even if this process is killed."""
    import fcntl

    with open(Path(folder) / ALIVE, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _watch(folder: str) -> None:
    """End this rank when the process that launched it is gone, and leave nothing behind."""
    import fcntl

    with open(Path(folder) / ALIVE) as file:
        fcntl.flock(file, fcntl.LOCK_SH)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(71)


def _dead(folder: Path) -> int | None:
    """A rank whose process is gone, or is only waiting to be buried."""
    for note in folder.glob("pid-*"):
        try:
            os.kill(int(note.read_text()), 0)
            stat = Path(f"/proc/{note.read_text()}/stat")
            gone = stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] in "ZX"
        except (OSError, ValueError):
            gone = True
        if gone:
            return int(note.name.removeprefix("pid-"))
    return None


def _unname() -> None:
    """Take the name off MPICH's shared memory, which every rank has by now, so that a crash leaves none."""
    maps = Path("/proc/self/maps")
    if maps.exists():
        for name in set(re.findall(r"/dev/shm/mpich_shm\S+", maps.read_text())):
            with suppress(OSError):
                os.unlink(name)


def _run(line: list[str], env: dict[str, str]) -> tuple[int, str, str]:
    """Exit code, output and errors of mpirun; if this is interrupted, mpirun is told to end its ranks."""
    proc = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        env={**os.environ, **env}, start_new_session=True,
    )  # fmt: skip
    try:
        said, complaint = proc.communicate()
    except BaseException:
        proc.terminate()
        try:
            proc.wait(5)
        except subprocess.TimeoutExpired:
            proc.kill()
            proc.wait()
        raise
    return proc.returncode, said, complaint


def command(program: str, ranks: int) -> list[str]:
    """The command line; Open MPI must be told not to bind ranks to cores and that there may be few."""
    says = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    extra: list[str] = []
    if "Open MPI" in says or "OpenRTE" in says:
        extra = ["--bind-to", "none", "--oversubscribe"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            extra.append("--allow-run-as-root")
    return [program, *extra, "-n", str(ranks)]


def main(folder: str) -> None:
    """What each process under mpirun does for `launch`."""
    from lmbook.distributed.failure import rank_error
    from lmbook.distributed.member import act
    from lmbook.distributed.proc.worker import dumps, name_source
    from lmbook.distributed.wire import join_logs

    place = Path(folder)
    blob, seed, timeout, source = pickle.loads((place / "in").read_bytes())
    threading.Thread(target=_watch, args=(folder,), daemon=True).start()
    transport = MPITransport(timeout)
    transport.comm.Barrier()
    _unname()
    (place / f"pid-{transport.rank}").write_text(str(os.getpid()))
    try:
        fn, args = pickle.loads(blob)
        name_source(fn, source)
        told = act(transport, fn, args, seed)
        if transport.rank == 0:
            out = dumps(([v for v, _ in told], join_logs([r for _, r in told])))
            (place / "out").write_bytes(out)
        transport.close()
    except BaseException as error:
        dead = _dead(place) if isinstance(error, transport.MPI.Exception) else None
        if dead is not None:  # who notices it is not to blame
            (place / LOST).write_text(str(dead))
            transport.abort()
        text = rank_error(transport.rank, error).text
        (place / f"error-{transport.rank}").write_text(text, encoding="utf-8")
        transport.abort()
