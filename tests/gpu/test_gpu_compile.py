"""NVIDIA's compiler accepts every kernel, and what it reports is read right.

Without the compiler the tests are skipped where it does not exist (macOS), and fail everywhere in CI.
"""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

from lmbook import gpu
from lmbook.backend import MissingDependency
from lmbook.gpu import nvrtc
from lmbook.gpu.kernels import LADDER, Rung, matmul
from lmbook.gpu.simulator import mathematics, warp
from lmbook.gpu.simulator.types import NAMES, Vector

needs_compiler = pytest.mark.skipif(
    not nvrtc.available() and not os.environ.get("CI"),
    reason='no NVRTC here: pip install "lmbook[nvrtc]"',
)
SOURCES = {rung.name: rung for rung in LADDER}


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("arch", gpu.ARCHITECTURES)
@pytest.mark.parametrize("rung", SOURCES.values(), ids=list(SOURCES))
def test_the_compiler_accepts_every_kernel(rung: Rung, arch: str) -> None:
    for name in rung.kernels:
        kernel = rung.kernel(name)
        compiled = kernel.compile(arch)
        assert 8 <= compiled.registers <= 128, str(compiled)
        assert compiled.spill_stores == compiled.spill_loads == 0, str(compiled)
        assert compiled.shared == kernel.program.shared_bytes, str(compiled)
        device = {"sm_75": "T4", "sm_80": "A100", "sm_90": "H100"}[arch]
        assert kernel.occupancy(device, compiled.registers, 256).blocks >= 1


@needs_compiler
def test_registers_are_the_assemblers_own(tmp_path) -> None:
    """The log's numbers equal those in the compiled file: attribute EIATTR_REGCOUNT of .nv.info."""
    compiled = {name: matmul.kernel(name).compile("sm_80") for name in matmul.kernels}
    counts = register_counts(next(iter(compiled.values())).cubin)
    assert counts == {name: c.registers for name, c in compiled.items()}


def register_counts(cubin: bytes) -> dict[str, int]:
    """Registers of each kernel, read from the ELF file: (symbol, count) pairs of attribute 0x2f."""
    from struct import unpack_from

    offset, size, count, names = (*unpack_from("<Q", cubin, 40), *unpack_from("<HHH", cubin, 58))
    sections = []
    for k in range(count):
        name, kind, _, _, start, length, link = unpack_from("<IIQQQQI", cubin, offset + k * size)
        sections.append((name, kind, start, length, link))

    def text(table: int, at: int) -> str:
        begin = sections[table][2] + at
        return cubin[begin : cubin.index(b"\0", begin)].decode()

    symbols = next(s for s in sections if s[1] == 2)
    found = {}
    for name, _, start, length, _ in sections:
        if text(names, name) != ".nv.info":
            continue
        at = start
        while at < start + length:
            form, attribute, value = unpack_from("<BBH", cubin, at)
            if (form, attribute) == (4, 0x2F):
                symbol, registers = unpack_from("<II", cubin, at + 4)
                label = unpack_from("<I", cubin, symbols[2] + 24 * symbol)[0]
                found[text(symbols[4], label)] = registers
            at += 4 + (value if form == 4 else 0)
    return found


@needs_compiler
def test_templates_spills_and_errors() -> None:
    source = """template <int N> __global__ void k(float* x) {
  float a[N];
  for (int i = 0; i < N; ++i) a[i] = x[i * 32 + threadIdx.x];
  for (int i = 0; i < N; ++i) x[threadIdx.x * N + i] = a[(int)a[i] % N];
}"""
    small = gpu.Kernel(source, "k<64>").compile("sm_80")
    assert small.kernel == "k<64>" and small.stack >= 256 and "k<64> for sm_80" in str(small)
    assert ".weak .entry" in small.ptx and len(small.cubin) > 1000
    crowded = """extern "C" __global__ void __launch_bounds__(1024) k(float* x, int n) {
  float a[100];
  #pragma unroll
  for (int i = 0; i < 100; ++i) a[i] = x[i * 1024 + threadIdx.x];
  for (int r = 0; r < n; ++r) {
    #pragma unroll
    for (int i = 0; i < 100; ++i) a[i] = a[i] * a[(i * 7 + 3) % 100] + 1.0f;
  }
  #pragma unroll
  for (int i = 0; i < 100; ++i) x[i * 1024 + threadIdx.x] = a[i];
}"""
    spilled = gpu.Kernel(crowded, "k").compile("sm_80")
    assert spilled.registers == 64 and spilled.spill_stores > 0
    with pytest.raises(
        gpu.CompileError, match=r"kernel.cu\(2\): error: identifier .y. is undefined"
    ):
        nvrtc.compile_kernel('extern "C" __global__ void k() {\n  y = 1;\n}', "k", "sm_80")
    with pytest.raises(gpu.CompileError, match="no kernel other; there are k"):
        nvrtc.compile_kernel('extern "C" __global__ void k() {}', "other", "sm_80")
    with pytest.raises(ValueError, match="write it as 'sm_80'"):
        nvrtc.compile_kernel("", "k", "8.0")
    with pytest.raises(gpu.CompileError, match="unknown form"):
        list(nvrtc.read_log("Compiling entry function 'k'\nnothing", "sm_80", {}, "", b""))


@needs_compiler
def test_half_numbers_and_named_limits() -> None:
    source = """#include <cuda_fp16.h>
extern "C" __global__ void k(const __half* h, __half* out, float* f, int* i) {
  out[0] = __hadd(h[0] * __float2half(2.0f), h[1]);
  f[0] = fmaxf(-INFINITY, FLT_MAX);
  i[0] = INT_MAX + INT_MIN;
}"""
    assert gpu.Kernel(source, "k").compile("sm_75").registers >= 4


@needs_compiler
def test_every_function_of_the_subset_is_one_of_cuda() -> None:
    """Each built-in is called once in a kernel that both the simulator and NVIDIA's compiler read."""
    lines = []
    given = {"float": "v", "int": "i", "unsigned int": "(unsigned)i", "__half": "h", "None": "v"}
    for name, f in mathematics.FUNCTIONS.items():
        call = f"{name}({', '.join(given[str(p)] for p in f.parameters)})"
        lines.append(
            f"f[0] += {f'__half2float({call})' if str(f.result) == '__half' else f'(float){call}'};"
        )
    for name in gpu.functions()["atomic"]:
        lines.append(f"{name}(n, {'i, i' if name == 'atomicCAS' else 'i'});")
    for name in gpu.functions()["vectors"]:
        if "half" not in name:
            t = NAMES[name.removeprefix("make_")]
            assert isinstance(t, Vector)
            lines.append(
                f"{t} {name}_v = {name}({', '.join(['i'] * t.lanes)}); f[0] += {name}_v.x;"
            )
    for name in gpu.functions()["warp"]:
        if name in warp.SHUFFLES:
            lines.append(f"f[0] += {name}(0xffffffff, v, 1);")
        elif name in warp.VOTES:
            lines.append(f"n[0] += (int){name}(0xffffffff, i > 1);")
        else:
            lines.append(f"{name}();")
    lines.append("f[0] += __ldg(n);")
    source = (
        "#include <cuda_fp16.h>\n"
        'extern "C" __global__ void k(float* f, int* n, float v, int i) {\n__half h = __float2half(v);\n'
        + "\n".join(lines) + "\n}"
    )  # fmt: skip
    kernel = gpu.Kernel(source, "k")
    assert kernel.compile("sm_75").registers > 0
    kernel.simulate(1, 32, (np.zeros(1, np.float32), np.zeros(1, np.int32), 0.5, 3))


def test_its_absence_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "_candidates", lambda: iter(["/no/such/library.so"]))
    nvrtc.library.cache_clear()
    try:
        assert not nvrtc.available()
        with pytest.raises(
            MissingDependency, match=r'pip install "lmbook\[nvrtc\]".*GPU is not needed'
        ):
            nvrtc.library()
    finally:
        nvrtc.library.cache_clear()


@pytest.mark.skipif(not os.environ.get("CI"), reason="a reader may do without the compiler")
@pytest.mark.skipif(sys.platform == "darwin", reason="there is none for macOS")
def test_ci_has_the_compiler() -> None:
    assert nvrtc.available()
