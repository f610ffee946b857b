"""The simulator: ranks as threads of which one runs at a time, on a network with virtual clocks."""

from lmbook.distributed.sim.faults import Crash, Delay, Drop, Fault, Straggler
from lmbook.distributed.sim.launch import run_replay, run_sim

__all__ = ["Crash", "Delay", "Drop", "Fault", "Straggler", "run_replay", "run_sim"]
