"""NVIDIA's run-time compiler, called through ctypes. It needs no GPU and no driver.

The library comes with `pip install "lmbook[nvrtc]"` on Linux and Windows. What the compiler reports are
facts of the compiled code (registers, spills, shared memory), not measurements on a device.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lmbook.backend.errors import MissingDependency

PRELUDE = (
    "".join(
        f"#ifndef {name}\n#define {name} {value}\n#endif\n"
        for name, value in (
            ("INFINITY", "__int_as_float(0x7f800000)"),
            ("NAN", "__int_as_float(0x7fffffff)"),
            ("FLT_MAX", "3.402823466e38f"),
            ("FLT_MIN", "1.175494351e-38f"),
            ("FLT_EPSILON", "1.192092896e-7f"),
            ("INT_MAX", "2147483647"),
            ("INT_MIN", "(-2147483647 - 1)"),
            ("UINT_MAX", "4294967295u"),
            ("LLONG_MAX", "9223372036854775807ll"),
        )
    )
    + "#line 1\n"
)
"""What the run-time compiler lacks; the line numbers stay those of the source."""

ARCHITECTURES = ("sm_75", "sm_80", "sm_90")
"""T4, A100 and H100: what the book's kernels are compiled for."""

_PATTERNS = ("**/libnvrtc.so.*", "**/nvrtc64_*.dll")


class CompileError(ValueError):
    """The compiler refused the source; the message holds what it said."""


@dataclass(frozen=True)
class Compiled:
    """A kernel compiled for one architecture.

    `registers` a thread, `shared` bytes a block without dynamic ones, `spill_stores` and `spill_loads`
    bytes a thread that did not fit in registers, `stack` bytes a thread.
    """

    kernel: str
    arch: str
    registers: int
    shared: int
    spill_stores: int
    spill_loads: int
    stack: int
    ptx: str
    cubin: bytes

    def __str__(self) -> str:
        return (
            f"{self.kernel} for {self.arch}: {self.registers} registers, {self.shared} bytes shared, "
            f"{self.spill_stores + self.spill_loads} bytes spilled"
        )


def _candidates() -> Iterator[str]:
    """Paths of the library: from pip's packages first, then the system's."""
    spec = find_spec("nvidia")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for pattern in _PATTERNS:
            found = sorted(Path(folder).glob(pattern), reverse=True)
            yield from (str(p) for p in found if ".alt." not in p.name and "builtins" not in p.name)
    system = ctypes.util.find_library("nvrtc")
    if system:
        yield system


def _headers() -> list[str]:
    """Folders of pip's packages with CUDA's headers, such as cuda_fp16.h."""
    spec = find_spec("nvidia")
    folders = [Path(f) for f in (spec.submodule_search_locations or ())] if spec else []
    return sorted(str(p.parent) for f in folders for p in f.glob("**/cuda_fp16.h"))


@cache
def library() -> Any:
    """The loaded library. Raises `MissingDependency` where there is none."""
    for path in _candidates():
        try:
            return ctypes.CDLL(path)
        except OSError:
            continue
    raise MissingDependency(
        "compiling a kernel needs NVIDIA's run-time compiler, which is not installed: "
        'pip install "lmbook[nvrtc]" (Linux and Windows; a GPU is not needed)'
    )


def available() -> bool:
    """Whether the compiler can be used here."""
    try:
        library()
    except MissingDependency:
        return False
    return True


def version() -> str:
    """The compiler's version, as `12.9`."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    _check(library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)), "version")
    return f"{major.value}.{minor.value}"


def _check(status: int, what: str) -> None:
    if status:
        describe = library().nvrtcGetErrorString
        describe.restype = ctypes.c_char_p
        raise CompileError(f"{what}: {describe(status).decode()}")


def _text(program: Any, what: str) -> bytes:
    """One of the program's results: `ProgramLog`, `PTX` or `CUBIN`."""
    lib, size = library(), ctypes.c_size_t()
    _check(getattr(lib, f"nvrtcGet{what}Size")(program, ctypes.byref(size)), what)
    buffer = ctypes.create_string_buffer(size.value)
    _check(getattr(lib, f"nvrtcGet{what}")(program, buffer), what)
    return buffer.raw


@cache
def build(source: str, name: str, arch: str) -> dict[str, Compiled]:
    """Compile a source for an architecture; what is known of each kernel, by name.

    `name` is a kernel to instantiate where it is a template (`k<16>`), else it changes nothing.
    """
    lib = library()
    if not re.fullmatch(r"sm_\d+a?", arch):
        raise ValueError(f"architecture {arch!r}: write it as 'sm_80'")
    program = ctypes.c_void_p()
    code = (PRELUDE + source).encode()
    _check(
        lib.nvrtcCreateProgram(ctypes.byref(program), code, b"kernel.cu", 0, None, None), "create"
    )
    try:
        if "<" in name:
            _check(lib.nvrtcAddNameExpression(program, name.encode()), name)
        options = [f"--gpu-architecture={arch}", "--std=c++17", "--ptxas-options=-v", "-lineinfo"]
        options += [f"--include-path={folder}" for folder in _headers()]
        given = (ctypes.c_char_p * len(options))(*[o.encode() for o in options])
        status = lib.nvrtcCompileProgram(program, len(options), given)
        log = _text(program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
        if status:
            raise CompileError(f"{name} for {arch}:\n{log.strip()}")
        lowered = {}
        if "<" in name:
            c_name = ctypes.c_char_p()
            _check(lib.nvrtcGetLoweredName(program, name.encode(), ctypes.byref(c_name)), name)
            lowered = {(c_name.value or b"").decode(): name}
        ptx = _text(program, "PTX").rstrip(b"\0").decode()
        cubin = _text(program, "CUBIN")
    finally:
        lib.nvrtcDestroyProgram(ctypes.byref(program))
    return {k.kernel: k for k in read_log(log, arch, lowered, ptx, cubin)}


def read_log(
    log: str, arch: str, names: dict[str, str], ptx: str, cubin: bytes
) -> Iterator[Compiled]:
    """What the assembler says of each kernel in its verbose log."""
    for part in log.split("Compiling entry function ")[1:]:
        found = re.match(r"'(\w+)'", part)
        spills = re.search(
            r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", part
        )
        used = re.search(r"Used (\d+) registers(.*)", part)
        if not found or not spills or not used:
            raise CompileError(f"the compiler's log has an unknown form:\n{part}")
        shared = re.search(r"(\d+)(?:\+\d+)? bytes smem", used[2])
        stack, stores, loads = map(int, spills.groups())
        name = names.get(found[1], found[1])
        yield Compiled(
            name,
            arch,
            int(used[1]),
            int(shared[1]) if shared else 0,
            stores,
            loads,
            stack,
            ptx,
            cubin,
        )


def compile_kernel(source: str, name: str, arch: str) -> Compiled:
    """One kernel compiled for one architecture."""
    found = build(source, name if "<" in name else "", arch)
    if name not in found:
        raise CompileError(f"the compiler found no kernel {name}; there are {', '.join(found)}")
    return found[name]
