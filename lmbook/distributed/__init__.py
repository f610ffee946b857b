"""Level 1: ranks that exchange messages, collectives built on them, a simulator that counts and explains.

Write `fn(comm, ...)` once; `run(fn, ranks, backend=...)` runs it on simulated ranks, on processes,
under PyTorch, MPI or Ray.
"""

from lmbook.distributed.collectives import blocks
from lmbook.distributed.communicator import Communicator, Request, Work
from lmbook.distributed.costs import Cost, cost
from lmbook.distributed.errors import (
    CommError,
    DeadlockError,
    MismatchError,
    RankError,
    RankLost,
    UnreceivedError,
    WaitTimeout,
)
from lmbook.distributed.log import Event, Log
from lmbook.distributed.network import FatTree, Network, Regions, Ring, Torus, Tree
from lmbook.distributed.run import Results, run
from lmbook.distributed.sim import Crash, Delay, Drop, Straggler

__all__ = [
    "CommError", "Communicator", "Cost", "Crash", "DeadlockError", "Delay", "Drop", "Event", "FatTree", "Log",
    "MismatchError", "Network", "RankError", "RankLost", "Regions", "Request", "Results", "Ring",
    "Straggler", "Torus", "Tree", "UnreceivedError", "WaitTimeout", "Work", "blocks", "cost", "run",
]  # fmt: skip
