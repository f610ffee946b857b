"""The same CUDA C, compiled by g++ for the processor: a third reading, by a compiler that knows no GPU."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lmbook.gpu import Kernel
from lmbook.gpu.simulator.launch import triple

PRELUDE = Path(__file__).with_name("host_prelude.h")


def available() -> bool:
    return shutil.which("g++") is not None


def translated(source: str, kernels: Sequence[Kernel]) -> str:
    """C++: the source as it is, but for dynamic shared memory, and an entry for each kernel."""
    body = re.sub(
        r"extern\s+__shared__\s+(\w+)\s+(\w+)\[\];", r"\1* \2 = (\1*)dynamic_shared;", source
    )
    entries = []
    for k in kernels:
        values = ", ".join(f"*({t}*)a[{i}]" for i, (_, t) in enumerate(k.parameters))
        entries.append(
            f"static void call_{k.name}(void** a) {{ {k.name}({values}); }}\n"
            f'extern "C" int launch_{k.name}(void** a, const int* dims, int shared) '
            f"{{ return run_grid(call_{k.name}, a, dims, shared); }}"
        )
    return f'#include "{PRELUDE}"\n#line 1\n{body}\n' + "\n".join(entries)


@cache
def library(source: str, names: tuple[str, ...], folder: Path) -> ctypes.CDLL:
    """The compiled source."""
    kernels = [Kernel(source, name) for name in names]
    file = folder / f"{names[0]}.cpp"
    file.write_text(translated(source, kernels), encoding="utf-8")
    built = file.with_suffix(".so")
    command = ["g++", "-std=c++17", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-w", str(file)]
    done = subprocess.run([*command, "-o", str(built)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"g++ refused {names[0]}:\n{done.stderr}")
    return ctypes.CDLL(str(built))


def run(
    lib: ctypes.CDLL,
    kernel: Kernel,
    grid: Any,
    block: Any,
    args: Sequence[Any],
    shared_mem: int = 0,
) -> None:
    """Run a kernel on arrays, in place."""
    held = [
        np.array([a.ctypes.data], np.uint64) if isinstance(a, np.ndarray) else np.array([a])
        for a in args
    ]
    pointers = (ctypes.c_void_p * len(held))(*[h.ctypes.data for h in held])
    dims = (ctypes.c_int * 6)(*triple(grid, "grid"), *triple(block, "block"))
    if getattr(lib, f"launch_{kernel.name}")(pointers, dims, shared_mem):
        raise RuntimeError(f"{kernel.name}: threads wait for each other for ever")
