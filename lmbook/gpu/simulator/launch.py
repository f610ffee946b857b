"""Compile a kernel of a source for the simulator, and launch it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmbook.gpu.errors import LaunchError, SubsetError
from lmbook.gpu.simulator.counters import SECTOR, Counts
from lmbook.gpu.simulator.declarations import Step
from lmbook.gpu.simulator.machine import Machine, Triple
from lmbook.gpu.simulator.memory import Address, Memory
from lmbook.gpu.simulator.parser import parse
from lmbook.gpu.simulator.races import Shadow
from lmbook.gpu.simulator.requests import Watch
from lmbook.gpu.simulator.statements import StatementCompiler
from lmbook.gpu.simulator.types import NAMES, VOID, CType, Pointer, Scalar, Vector
from lmbook.gpu.simulator.values import Register, of_place

BATCH_LANES = 1 << 16
"""Lanes that run in step: enough that NumPy's own time is what counts."""
MAX_ITERATIONS = 100_000


@dataclass
class Program:
    """A kernel ready to run: parameters, the function that runs its body, what it needs."""

    name: str
    source: list[str]
    parameters: list[tuple[str, CType]]
    body: Step
    slots: int
    shared_bytes: int
    max_threads: int | None
    dynamic: bool


@dataclass
class Traffic:
    """Bytes of global memory of one argument that were touched, in whole sectors, once each."""

    name: str
    loaded: int
    stored: int


@dataclass
class Result:
    """What a launch did: counters by line, and the bytes of each argument.

    With the race detector on, `writers` has for each argument that can be written the line that wrote each
    of its numbers last, 0 where none did.
    """

    lines: list[Counts]
    traffic: list[Traffic]
    shared_bytes: int
    writers: dict[str, np.ndarray]


def build(source: str, name: str) -> Program:
    """Compile kernel `name`, or `name<16, float>` of a template.

    Raises `SubsetError` for what the simulator does not read.
    """
    unit = parse(source)
    found = re.fullmatch(r"\s*(\w+)\s*(?:<(.*)>)?\s*", name)
    if found is None or found[1] not in unit.functions:
        kernels = [f.name for f in unit.functions.values() if f.is_kernel]
        raise SubsetError(
            1, f"the source has no kernel {name}; it has {', '.join(kernels) or 'none'}"
        )
    f = unit.functions[found[1]]
    if not f.is_kernel:
        raise SubsetError(
            f.line, f"{f.name} is no kernel", "write __global__ in place of __device__"
        )
    compiler = StatementCompiler(unit)
    given: list[Any] = [
        _template_value(v.strip(), f.line) for v in (found[2] or "").split(",") if v
    ]
    scope, types = compiler.enter(f, given, f.line)
    parameters: list[tuple[str, CType]] = []
    compiler.types.append(types)
    for p in f.parameters:
        t = compiler.resolve(p.type, f.line)
        if p.type.reference or isinstance(t, Vector):
            raise SubsetError(
                f.line, f"the kernel's parameter {p.name} must be a number or a pointer"
            )
        parameters.append((p.name, t))
        scope[p.name] = of_place(Register(t, compiler.slot(), p.name, f.line), pure=True)
    compiler.types.pop()
    if compiler.resolve(f.result, f.line) != VOID:
        raise SubsetError(f.line, f"the kernel {f.name} must return void")
    body = compiler.body(f, scope, types, VOID)
    return Program(
        name.strip(), source.split("\n"), parameters, body, compiler.slots, compiler.shared_bytes,
        f.max_threads, "extern __shared__" in re.sub(r"\s+", " ", source),
    )  # fmt: skip


def _template_value(text: str, line: int) -> Any:
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if text in ("true", "false"):
        return int(text == "true")
    if text in NAMES:
        return NAMES[text]
    raise SubsetError(line, f"the template argument {text!r} is neither a number nor a type")


def triple(size: int | Sequence[int], what: str) -> Triple:
    """A grid or block as three numbers."""
    parts = (size,) if isinstance(size, int | np.integer) else tuple(size)
    if not 1 <= len(parts) <= 3 or any(int(p) != p or p < 1 for p in parts):
        raise LaunchError(f"{what} must be one to three whole numbers from 1, not {size!r}")
    x, y, z = (*map(int, parts), 1, 1)[:3]
    return x, y, z


def launch(
    program: Program, grid: Triple, block: Triple, arguments: Sequence[Any], shared_mem: int,
    races: bool, batch_lanes: int = BATCH_LANES, max_iterations: int = MAX_ITERATIONS,
    watch: Watch | None = None,
) -> Result:  # fmt: skip
    """Run all blocks of the grid, batch by batch, on arguments that have been checked."""
    m = Machine(program.name, program.source, grid, block, program.slots, races, max_iterations)
    m.shared_dynamic, m.watch = shared_mem, watch
    values, memories = _bind(program, arguments, races)
    total = int(np.prod(grid))
    step = max(1, batch_lanes // m.padded)
    with np.errstate(all="ignore"):
        for first in range(0, total, step):
            m.begin(first, min(step, total - first))
            m.registers[: len(values)] = values
            m.owner[: len(values)] = [m.mask] * len(values)
            program.body(m)
    traffic = [
        Traffic(memory.name, *(SECTOR * int(np.count_nonzero(t)) for t in memory.touched))
        for memory in memories
    ]
    writers = {
        name: value.memory.shadow.line[0]
        for (name, t), value in zip(program.parameters, values)
        if isinstance(t, Pointer) and value.memory.shadow is not None
    }
    return Result(m.lines, traffic, program.shared_bytes + shared_mem, writers)


def _bind(
    program: Program, arguments: Sequence[Any], races: bool
) -> tuple[list[Any], list[Memory]]:
    """Values of the parameters, and the arrays' memories; one array passed twice is one memory."""
    values: list[Any] = []
    memories: dict[tuple[int, int], Memory] = {}
    for (name, t), a in zip(program.parameters, arguments):
        if not isinstance(t, Pointer):
            values.append(a)
            continue
        key = (a.ctypes.data, a.nbytes)
        if key not in memories or not a.nbytes:
            grain = (t.to.of if isinstance(t.to, Vector) else t.to).size
            data = a.reshape(-1).view(np.uint8)[None]
            memories[key] = Memory(name, "global", data, grain, misalignment(a))
        memory = memories[key]
        if memory.base % t.to.size:
            raise LaunchError(
                f"{program.name}: {name} starts {memory.base} bytes into its allocation, but {t} needs a "
                f"multiple of {t.to.size}: pass a copy"
            )
        if races and not t.const and memory.shadow is None:
            memory.shadow = Shadow(max(1, memory.bytes // memory.grain), shared=False)
        values.append(Address(memory, np.intp(0)))
    return values, list(memories.values())


def misalignment(a: np.ndarray) -> int:
    """Bytes between the start of an allocation, which a GPU aligns to 256, and a view into it."""
    root = a
    while isinstance(root.base, np.ndarray):
        root = root.base
    return int(a.ctypes.data - root.ctypes.data) % 256 if a.nbytes else 0


def holds(t: Scalar | Vector) -> np.dtype:
    """NumPy's type of an array that a pointer to `t` may point to."""
    return t.of.dtype if isinstance(t, Vector) else t.dtype
