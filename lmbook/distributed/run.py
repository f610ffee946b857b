"""`run`: one rank function on several ranks, on the backend of your choice."""

import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lmbook.distributed.failure import rank_error
from lmbook.distributed.log import Log
from lmbook.distributed.member import act
from lmbook.distributed.sim import run_replay, run_sim
from lmbook.distributed.wire import join_logs


class Results(list):
    """What the ranks returned, in their order; `log` is what happened, `rank` who reads this.

    `rank` is 0 but under torchrun and mpirun, where every rank runs the whole program and gets all results.
    """

    def __init__(self, values: list[Any], log: Log | None, backend: str, rank: int = 0) -> None:
        super().__init__(values)
        self.log, self.backend, self.rank = log, backend, rank


def _sim(fn: Callable[..., Any], ranks: int, args: tuple, **options: Any) -> Results:
    return Results(*run_sim(fn, ranks, args, **options), "sim")


def _replay(fn: Callable[..., Any], ranks: int, args: tuple, **options: Any) -> Results:
    return Results(*run_replay(fn, ranks, args, **options), "replay")


def _proc(fn: Callable[..., Any], ranks: int, args: tuple, **options: Any) -> Results:
    from lmbook.distributed.proc.launch import launch

    return Results(*launch(fn, ranks, args, **options), "proc")


def _torch(fn: Callable[..., Any], ranks: int, args: tuple, **options: Any) -> Results:
    from lmbook.distributed.engines import torch as engine
    from lmbook.distributed.proc.launch import launch

    if engine.launched():
        return _member(engine.join_torchrun, "torch", fn, ranks, args, **options)
    engine.torch_distributed()
    with tempfile.TemporaryDirectory(prefix="lmbook-torch-") as folder:
        store = (Path(folder) / "store").as_uri()
        return Results(
            *launch(fn, ranks, args, kind="torch", store=store, folder=folder, **options), "torch"
        )


def _mpi(fn: Callable[..., Any], ranks: int, args: tuple, **options: Any) -> Results:
    from lmbook.distributed.engines import mpi as engine

    if engine.launched():
        return _member(engine.MPITransport, "mpi", fn, ranks, args, **options)
    values, log = engine.launch(fn, ranks, args, **options)
    return Results(values, log, "mpi")


def _ray(fn: Callable[..., Any], ranks: int, args: tuple, **options: Any) -> Results:
    from lmbook.distributed.engines.ray import launch

    return Results(*launch(fn, ranks, args, **options), "ray")


def _member(
    join: Callable[..., Any], name: str, fn: Callable[..., Any], ranks: int | None, args: tuple, *,
    seed: int = 0, timeout: float = 60.0,
) -> Results:  # fmt: skip
    """Be one rank of a run that torchrun or mpirun started."""
    transport = join(timeout)
    if ranks not in (None, transport.size):
        raise ValueError(
            f"run: {ranks} ranks, but {name} was started with {transport.size}; make them equal, or give None"
        )
    try:
        told = act(transport, fn, args, seed)
    except BaseException as error:
        failed = rank_error(transport.rank, error)
        if hasattr(transport, "abort"):
            print(failed, file=sys.stderr, flush=True)
            transport.abort()
        raise failed from error
    transport.close()
    log = join_logs([report for _, report in told])
    return Results([value for value, _ in told], log, name, transport.rank)


BACKENDS = {
    "sim": _sim, "replay": _replay, "proc": _proc, "torch": _torch, "mpi": _mpi, "ray": _ray,
}  # fmt: skip


BARE = ("emscripten", "wasi")
"""Platforms of Python without threads and processes."""


def _here(name: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The backend that can run here, and the options that it takes."""
    wish = os.environ.get("LMBOOK_RANKS", "replay" if sys.platform in BARE else "")
    if wish not in ("", "replay"):
        raise ValueError(f"LMBOOK_RANKS: {wish!r}; it may be 'replay', or nothing")
    if not wish or name == "replay":
        return name, options
    if name != "sim":
        warnings.warn(
            f"run: the backend 'replay' stands in for {name!r}, which needs processes; results and bytes are "
            "those of the simulator, times are virtual",
            stacklevel=3,
        )
    return "replay", {k: v for k, v in options.items() if k not in ("timeout", "shared")}


def surroundings() -> str | None:
    """The backend of the program that started this process: "torch", "mpi", or None."""
    from lmbook.distributed.engines import mpi, torch

    return "torch" if torch.launched() else "mpi" if mpi.launched() else None


def run(
    fn: Callable[..., Any],
    ranks: int | None,
    *args: Any,
    backend: str | None = None,
    **options: Any,
) -> Results:
    """Call `fn(comm, *args)` on `ranks` ranks at once; return what they returned, with a log.

    `backend`:
      "sim"     threads in this process with virtual clocks: deterministic, explains deadlocks
      "replay"  the same without threads, where there are none
      "proc"    processes of this machine, joined by sockets
      "torch"   `torch.distributed`: under torchrun one of its ranks, otherwise local processes over gloo
      "mpi"     under mpirun one of its ranks, otherwise local processes by mpirun
      "ray"     actors of Ray, joined by gloo
      None      what this process was started by, torchrun or mpirun; otherwise "sim"

    Options of "sim" and "replay": `network` (default `Network()`); `mode`, "buffering" (a send returns at
    once), "rendezvous" (it waits for the receiver), or the largest message that is buffered, in bytes;
    `seed`; `faults`, a list of `Delay`, `Drop`, `Crash`, `Straggler`. Of the others: `seed`, and
    `timeout`, the limit of each wait in seconds. Of "proc": `shared`, whether messages from 32 KB on travel
    through shared memory (True) or through sockets as the small ones do.

    Where Python has neither processes nor threads, as in a browser, "replay" stands in for every other
    backend, with a warning for those that need processes; the environment variable `LMBOOK_RANKS=replay` asks
    for the same anywhere. A rank function is then run many times, from its start to the message that it waits
    for: it must do the same each time, change nothing outside itself, print nothing that should
    appear once, and take no time from a clock. Its cost grows with the square of its messages.

    Every rank draws from a random generator of its own, the same on every backend. Arguments are copied
    for each rank; what a function refers to otherwise is shared by the ranks of "sim", not by processes.

    Raises `RankError` with the traceback of a rank that raised, `RankLost` if one died, `DeadlockError`,
    `UnreceivedError` if messages are left at the end. The others are stopped, and no process is left.
    """
    name = backend or surroundings() or "sim"
    if name not in BACKENDS:
        raise ValueError(
            f"run: backend {name!r} is unknown; there are {', '.join(map(repr, BACKENDS))}"
        )
    if ranks is None and surroundings() != name:
        raise ValueError("run: say how many ranks; None is for programs under torchrun or mpirun")
    if ranks is not None and ranks < 1:
        raise ValueError(f"run: {ranks} ranks; at least 1")
    name, options = _here(name, options)
    return BACKENDS[name](fn, ranks, args, **options)  # type: ignore[arg-type]
