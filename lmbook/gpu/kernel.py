"""`Kernel`: one string of CUDA C, run on a GPU by CuPy, elsewhere by the simulator."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from lmbook.backend.errors import DTypeError, ShapeError, require
from lmbook.gpu.devices import STATIC_SHARED, Device, Occupancy, occupancy
from lmbook.gpu.errors import LaunchError
from lmbook.gpu.nvrtc import PRELUDE, Compiled, compile_kernel
from lmbook.gpu.report import Report, Roofline
from lmbook.gpu.simulator.launch import MAX_ITERATIONS, Program, build, holds, launch, triple
from lmbook.gpu.simulator.machine import Triple
from lmbook.gpu.simulator.requests import Watch
from lmbook.gpu.simulator.types import CType, Pointer, Scalar, Vector

Size = int | Sequence[int]
_GRID = (2**31 - 1, 65535, 65535)
_BLOCK = (1024, 1024, 64)


class Kernel:
    """A kernel in CUDA C.

        k = Kernel(source, "scale")
        k(grid, block, (x, y, n))           # on a GPU if `x` lives there, else simulated
        report = k.simulate(grid, block, (x, y, n), races=True)

    `name` may be `name<16, float>` of a template. Arguments are checked against the signature: arrays must be
    contiguous and of the pointer's type, numbers are cast. Raises `SubsetError` where the source is outside
    the subset, `LaunchError` for a launch that no GPU takes, `KernelFault` for what is undefined on a GPU.
    """

    def __init__(self, source: str, name: str) -> None:
        self.source, self.name = source, name
        self.program: Program = build(source, name)
        self.last: Report | None = None

    @property
    def parameters(self) -> list[tuple[str, CType]]:
        """Name and type of each parameter."""
        return self.program.parameters

    def __call__(
        self, grid: Size, block: Size, args: Sequence[Any], *, shared_mem: int = 0
    ) -> Report | None:
        """Launch. Arrays of CuPy run on the GPU (None is returned), arrays of NumPy in the simulator."""
        if any(type(a).__module__.partition(".")[0] == "cupy" for a in args):
            self._on_gpu(grid, block, args, shared_mem)
            return None
        return self.simulate(grid, block, args, shared_mem=shared_mem)

    # --- simulated

    def simulate(
        self, grid: Size, block: Size, args: Sequence[Any], *, shared_mem: int = 0, races: bool = False,
        max_iterations: int = MAX_ITERATIONS, watch: tuple[int, int] | None = None,
    ) -> Report:  # fmt: skip
        """Run in the simulator, in place on NumPy arrays; return the counters.

        `races=True` looks for data races as well and takes about three times as long. A loop of more
        than `max_iterations` rounds is taken for one that never ends. `watch=(block, warp)`, two numbers,
        keeps the loads and stores of that warp in the report's `requests`.
        """
        g, b = self.check_launch(grid, block, shared_mem)
        values = self.check_arguments(args, np.ndarray)
        seen = Watch(*watch) if watch is not None else None
        result = launch(
            self.program, g, b, values, shared_mem, races, max_iterations=max_iterations, watch=seen
        )
        self.last = Report(
            self.name, self.program.source, g, b, result.lines, result.traffic, result.shared_bytes,
            result.writers, seen.requests if seen else [],
        )  # fmt: skip
        return self.last

    def compile(self, arch: str = "sm_80") -> Compiled:
        """Compile by NVIDIA's compiler for an architecture: registers, spills, shared memory, PTX.

        Needs no GPU. Raises `MissingDependency` without the compiler, `CompileError` for what it refuses.
        """
        return compile_kernel(self.source, self.name, arch)

    def occupancy(
        self, device: str | Device, registers: int, block: Size = 256, shared_mem: int = 0
    ) -> Occupancy:
        """Blocks that fit on a multiprocessor; `registers` a thread come from `compile`."""
        threads = int(np.prod(triple(block, "block")))
        return occupancy(device, threads, registers, self.program.shared_bytes + shared_mem)

    def roofline(self, device: str | Device) -> Roofline:
        """The last simulated launch against a device's peaks."""
        if self.last is None:
            raise LaunchError(
                f"{self.name}: simulate a launch first; the roofline needs its counters"
            )
        return self.last.roofline(device)

    # --- on a GPU

    def _on_gpu(self, grid: Size, block: Size, args: Sequence[Any], shared_mem: int) -> None:
        cupy = require("cupy", "gpu", f"the kernel {self.name} on a GPU")
        g, b = self.check_launch(grid, block, shared_mem)
        values = self.check_arguments(args, cupy.ndarray)
        self._raw(g, b, tuple(values), shared_mem=shared_mem)

    @cached_property
    def _raw(self) -> Any:
        """CuPy's compiled kernel."""
        cupy = require("cupy", "gpu", f"the kernel {self.name} on a GPU")
        if "<" in self.name:
            module = cupy.RawModule(
                code=PRELUDE + self.source, options=("--std=c++17",), name_expressions=[self.name]
            )
            return module.get_function(self.name)
        return cupy.RawKernel(PRELUDE + self.source, self.name, options=("--std=c++17",))

    def time(
        self, grid: Size, block: Size, args: Sequence[Any], *, shared_mem: int = 0, repeat: int = 20
    ) -> float:
        """Seconds of one launch on the GPU, the median of `repeat` after two to warm up.

        Raises `LaunchError` without a GPU: a simulation has no time to tell.
        """
        if not any(type(a).__module__.partition(".")[0] == "cupy" for a in args):
            raise LaunchError(
                f"{self.name}.time: needs arrays of CuPy on a GPU; the simulator counts work, not time"
            )
        cupy = require("cupy", "gpu", f"timing the kernel {self.name}")
        if not cupy.is_available():
            raise LaunchError(f"{self.name}.time: CuPy finds no GPU here")
        seconds = []
        for k in range(repeat + 2):
            cupy.cuda.Device().synchronize()
            start = time.perf_counter()
            self._on_gpu(grid, block, args, shared_mem)
            cupy.cuda.Device().synchronize()
            if k >= 2:
                seconds.append(time.perf_counter() - start)
        return float(np.median(seconds))

    # --- checks, the same on both ways

    def check_launch(self, grid: Size, block: Size, shared_mem: int) -> tuple[Triple, Triple]:
        """Grid and block as triples, within what every GPU since 2018 takes."""
        g, b = triple(grid, f"{self.name}: grid"), triple(block, f"{self.name}: block")
        threads = int(np.prod(b))
        if any(n > most for n, most in zip(g, _GRID)):
            raise LaunchError(f"{self.name}: grid {g} is larger than {_GRID}")
        if any(n > most for n, most in zip(b, _BLOCK)) or threads > 1024:
            raise LaunchError(
                f"{self.name}: block {b} has {threads} threads; 1024 and {_BLOCK} are the most"
            )
        if self.program.max_threads and threads > self.program.max_threads:
            raise LaunchError(
                f"{self.name}: a block of {threads} threads, but __launch_bounds__ promises at most "
                f"{self.program.max_threads}"
            )
        shared = self.program.shared_bytes
        if shared_mem < 0 or shared + shared_mem > STATIC_SHARED:
            raise LaunchError(
                f"{self.name}: {shared} + {shared_mem} bytes of shared memory; a block has {STATIC_SHARED}"
            )
        if shared_mem and not self.program.dynamic:
            raise LaunchError(
                f"{self.name}: shared_mem={shared_mem}, but it declares no extern __shared__"
            )
        return g, b

    def check_arguments(self, args: Sequence[Any], array: type) -> list[Any]:
        """Arguments as the signature wants them: arrays checked, numbers cast."""
        if len(args) != len(self.parameters):
            names = ", ".join(f"{t} {n}" for n, t in self.parameters)
            raise TypeError(
                f"{self.name}({names}) takes {len(self.parameters)} arguments, not {len(args)}"
            )
        return [
            self._array(n, t, a, array) if isinstance(t, Pointer) else self._number(n, t, a)
            for (n, t), a in zip(self.parameters, args)
        ]

    def _array(self, name: str, t: Pointer, a: Any, array: Any) -> Any:
        if not isinstance(a, array):
            raise TypeError(
                f"{self.name}: {name} must be a {array.__module__} array, not {type(a).__name__}"
            )
        dtype = holds(t.to)
        if a.dtype != dtype:
            raise DTypeError(
                f"{self.name}: {name} is {t}, so the array must be {dtype}, not {a.dtype}"
            )
        if not a.flags.c_contiguous:
            raise ShapeError(
                f"{self.name}: {name} of shape {a.shape} is not contiguous: pass a copy"
            )
        if isinstance(t.to, Vector) and a.size % t.to.lanes:
            raise ShapeError(
                f"{self.name}: {name} has {a.size} numbers, no multiple of {t.to.lanes}"
            )
        writeable = getattr(a.flags, "writeable", True)
        if not t.const and not writeable:
            raise ValueError(f"{self.name}: {name} is written to, but the array is read-only")
        return a

    def _number(self, name: str, t: CType, a: Any) -> Any:
        assert isinstance(t, Scalar)
        kind = getattr(a, "dtype", np.dtype(int)).kind
        if np.ndim(a) != 0 or isinstance(a, str | bytes) or kind not in "biuf":
            raise TypeError(f"{self.name}: {name} is {t}: pass one number, not {type(a).__name__}")
        value = float(a) if isinstance(a, float | np.floating) else int(a)
        if not t.floating and int(value) != value:
            raise TypeError(f"{self.name}: {name} is {t}, so {value} would lose its fraction")
        if not t.floating and t.dtype.kind in "iu":
            bounds = np.iinfo(t.dtype)
            if not bounds.min <= value <= bounds.max:
                raise OverflowError(f"{self.name}: {name} is {t}, which cannot hold {value}")
        return t.dtype.type(value)
