"""GPU kernels in CUDA C that run everywhere: on a GPU through CuPy, elsewhere in a simulator."""

from lmbook.gpu.devices import Device, Occupancy, device, devices, occupancy
from lmbook.gpu.errors import (
    DataRace,
    DivergentBarrier,
    EndlessLoop,
    KernelFault,
    LaunchError,
    OutOfBounds,
    SubsetError,
    UndefinedArithmetic,
    UndefinedShuffle,
    UninitialisedRead,
    WrongResult,
)
from lmbook.gpu.kernel import Kernel
from lmbook.gpu.nvrtc import ARCHITECTURES, Compiled, CompileError
from lmbook.gpu.report import Report, Roofline
from lmbook.gpu.simulator.counters import Counts
from lmbook.gpu.simulator.requests import Request
from lmbook.gpu.simulator.subset import SUBSET, functions

__all__ = [
    "ARCHITECTURES",
    "SUBSET",
    "CompileError",
    "Compiled",
    "Counts",
    "DataRace",
    "Device",
    "DivergentBarrier",
    "EndlessLoop",
    "Kernel",
    "KernelFault",
    "LaunchError",
    "Occupancy",
    "OutOfBounds",
    "Report",
    "Request",
    "Roofline",
    "SubsetError",
    "UndefinedArithmetic",
    "UndefinedShuffle",
    "UninitialisedRead",
    "WrongResult",
    "device",
    "devices",
    "functions",
    "occupancy",
]  # fmt: skip
