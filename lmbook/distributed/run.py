"""`run`: one rank function on several ranks, on the backend of your choice."""

from collections.abc import Callable
from typing import Any

from lmbook.distributed.log import Log
from lmbook.distributed.sim import run_replay, run_sim


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


BACKENDS = {"sim": _sim, "replay": _replay, "proc": _proc}


def run(
    fn: Callable[..., Any], ranks: int, *args: Any, backend: str | None = None, **options: Any
) -> Results:
    """Call `fn(comm, *args)` on each of `ranks` ranks at once; return what they returned."""
    name = backend or "sim"
    if name not in BACKENDS:
        raise ValueError(
            f"run: backend {name!r} is unknown; there are {', '.join(map(repr, BACKENDS))}"
        )
    if ranks < 1:
        raise ValueError(f"run: {ranks} ranks; at least 1")
    return BACKENDS[name](fn, ranks, args, **options)
