"""Start a process for each rank, listen to them, and leave none behind."""

import linecache
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from lmbook.backend.errors import require
from lmbook.distributed.errors import (
    CommError,
    RankError,
    RankLost,
    UnreceivedError,
)
from lmbook.distributed.log import Log
from lmbook.distributed.proc.control import Line
from lmbook.distributed.proc.shelf import nameless, room
from lmbook.distributed.proc.worker import GRACE, dumps
from lmbook.distributed.wire import join_logs

MOST_RANKS = 64
START = "import sys; sys.path[:] = {path!r}; from lmbook.distributed.proc.worker import main; main({args})"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def packed(fn: Callable[..., Any], args: Sequence[Any]) -> bytes:
    """The rank function and its arguments for another process, or an error that says what is in the way."""
    local = fn.__module__ == "__main__" or "<" in getattr(fn, "__qualname__", "")
    if local:
        require(
            "cloudpickle",
            "distributed",
            "a rank function of a notebook, or inside another function,",
        )
    try:
        return dumps((fn, tuple(args)))
    except Exception as error:
        name = getattr(fn, "__qualname__", repr(fn))
        raise CommError(
            f"run: {name} or its arguments cannot be sent to another process ({error}); it refers to "
            "something that lives in this process only: make that inside the function, or pass plain values"
        ) from error


def source_of(fn: Callable[..., Any]) -> tuple[str, list[str]]:
    """The file of a function, and its lines where no file has them, as in a notebook."""
    name = getattr(getattr(fn, "__code__", None), "co_filename", "")
    return name, [] if os.path.exists(name) else linecache.getlines(name)


def _exit_name(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by signal {-code}, {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


class Crew:
    """The processes of one run."""

    def __init__(self, ranks: int, mesh: bool, shared: bool = False) -> None:
        if not hasattr(select, "poll") or os.name != "posix":
            raise CommError(
                "run: processes need Linux or macOS; use backend='sim', or torchrun or mpirun"
            )
        if ranks > MOST_RANKS:
            raise CommError(
                f"run: {ranks} processes on one machine; at most {MOST_RANKS}. The simulator takes thousands"
            )
        self.lines: list[Line] = []
        self.procs: list[subprocess.Popen] = []
        self.open = set(range(ranks))
        """Ranks whose line is open."""
        pairs = {}
        handed: list[socket.socket] = []
        self.memory: int | None = None
        env = {**os.environ, **dict.fromkeys(THREADS, "1"), "PYTHONUNBUFFERED": "1"}
        try:
            for a in range(ranks if mesh else 0):
                for b in range(a + 1, ranks):
                    pairs[a, b], pairs[b, a] = socket.socketpair()
                    handed += [pairs[a, b], pairs[b, a]]
            if mesh and shared and ranks > 1:
                self.memory = nameless(room(ranks) * ranks**2)
            shelves = [] if self.memory is None else [self.memory]
            for rank in range(ranks):
                ours, theirs = socket.socketpair()
                handed.append(theirs)
                self.lines.append(Line(ours))
                fds = {b: s.fileno() for (a, b), s in pairs.items() if a == rank}
                args = f"{theirs.fileno()}, {rank}, {ranks}, {fds!r}"
                code = START.format(path=sys.path, args=args)
                self.procs.append(
                    subprocess.Popen(
                        [sys.executable, "-c", code],
                        stdin=subprocess.DEVNULL,
                        env=env,
                        pass_fds=[theirs.fileno(), *fds.values(), *shelves],
                        start_new_session=True,
                    )
                )
        except BaseException:
            self.end()
            raise
        finally:
            for sock in handed:
                sock.close()
            if self.memory is not None:
                os.close(self.memory)

    def listen(self, limit: float | None) -> list[tuple[int, tuple[Any, ...] | None]]:
        """What the ranks say, each (rank, message), or None from one that is gone; nothing at the limit."""
        poll = select.poll()
        by_fd = {self.lines[r].sock.fileno(): r for r in self.open}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        wait = None if limit is None else max(0.0, limit - time.monotonic()) * 1000
        heard = []
        for fd, _ in poll.poll(wait):
            rank = by_fd[fd]
            message = self.lines[rank].recv()
            if message is None:
                self.open.discard(rank)
            elif message[0] == "print":
                (sys.stderr if message[1] == "stderr" else sys.stdout).write(message[2])
                continue
            heard.append((rank, message))
        return heard

    def stop(self, but: int, heard: Sequence[tuple[int, Any]] = ()) -> str:
        """Tell the others to stop; where they stood, in words. `heard` are messages not looked at yet."""
        for rank in self.open - {but}:
            self.lines[rank].send("stop")
        stood = {}
        limit = time.monotonic() + GRACE
        waiting = self.open - {but}
        while heard or (waiting and time.monotonic() < limit):
            for rank, message in heard or self.listen(limit):
                if message is not None and message[0] == "stopped":
                    stood[rank] = f"was stopped {message[1]}"
                elif message is not None and message[0] == "error":
                    stood[rank] = "failed, too: " + message[1].strip().splitlines()[-1]
                waiting.discard(rank)
            heard = ()
        return "".join(f"\nrank {r} {stood[r]}" for r in sorted(stood))

    def end(self) -> None:
        """No process is left when this returns."""
        for line in self.lines:
            line.close()
        limit = time.monotonic() + GRACE + 1.0
        for proc in self.procs:
            try:
                proc.wait(max(0.01, limit - time.monotonic()))
            except subprocess.TimeoutExpired:
                proc.kill()
                proc.wait()


def launch(
    fn: Callable[..., Any], ranks: int, args: Sequence[Any] = (), *, kind: str = "proc", seed: int = 0,
    timeout: float = 60.0, shared: bool = True, **extra: Any,
) -> tuple[list[Any], Log]:  # fmt: skip
    """Run a rank function in processes of their own. See `lmbook.distributed.run`."""
    blob = packed(fn, args)
    crew = Crew(ranks, kind == "proc", shared)
    results: list[Any] = [None] * ranks
    reports: list[Any] = [None] * ranks
    left: list[tuple[int, int, int, int]] = []
    finished: set[int] = set()
    try:
        options = {
            "timeout": timeout,
            "start": time.monotonic(),
            "source": source_of(fn),
            "memory": crew.memory,
            **extra,
        }
        for line in crew.lines:
            line.send(kind, blob, seed, options)
        checked: set[int] = set()
        while len(checked) < ranks:
            heard = crew.listen(None)
            while heard:
                rank, message = heard.pop(0)
                if message is None and rank not in checked:
                    how = _exit_name(crew.procs[rank].wait())
                    raise RankLost(rank, how, crew.stop(rank, heard))
                if message is None:
                    continue
                if message[0] == "error":
                    raise RankError(rank, message[1], crew.stop(rank, heard))
                if message[0] == "result":
                    results[rank], reports[rank] = pickle.loads(message[1]), message[2]
                    finished.add(rank)
                    if len(finished) == ranks:
                        for line in crew.lines:
                            line.send("end")
                if message[0] == "left":
                    left += [(src, rank, tag, n) for src, tag, n in message[1]]
                    checked.add(rank)
    finally:
        crew.end()
    if left:
        lines = [
            f"  from rank {s} to rank {d} "
            + (f"with tag {t}" if t >= 0 else "in a collective")
            + f", {n} bytes"
            for s, d, t, n in sorted(left)
        ]
        raise UnreceivedError("\n".join(["the run ended with messages that nobody took:", *lines]))
    return results, join_logs(reports)
