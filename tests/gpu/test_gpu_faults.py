"""What is undefined on a GPU is reported with kernel, line, block and thread; the rest is refused."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook import gpu


def run(
    body: str,
    block: object = 64,
    grid: object = 2,
    n: int = 128,
    before: str = "",
    **options: object,
):
    """Run a body on `float* out` of n numbers and `const float* x` of 128; line 2 is its first."""
    source = (
        f'{before}extern "C" __global__ void k(float* out, const float* x, int n) {{\n{body}\n}}'
    )
    out = np.zeros(n, np.float32)
    x = np.arange(128, dtype=np.float32)
    gpu.Kernel(source, "k").simulate(grid, block, (out, x, n), **options)  # type: ignore[arg-type]
    return out


I = "int i = blockIdx.x * blockDim.x + threadIdx.x;\n"

FAULTS = {
    "write past the end": (I + "out[i + 1] = 0.0f;", gpu.OutOfBounds, 3, (1, 0, 0), (63, 0, 0),
                           r"writes out\[128\], but out has 128 elements"),
    "read before the start": (I + "float v = x[i - 1];", gpu.OutOfBounds, 3, (0, 0, 0), (0, 0, 0),
                              r"reads x\[-1\]"),
    "missing guard": (I + "for (int j = 0; j < 3; ++j)\n  out[i + j * 64] = 1.0f;", gpu.OutOfBounds, 4,
                      (1, 0, 0), (0, 0, 0), r"out\[128\]"),
    "float4 past the end": (I + "float4 v = reinterpret_cast<const float4*>(x)[i];", gpu.OutOfBounds, 3,
                            (0, 0, 0), (32, 0, 0), "32 elements of type float4"),
    "misaligned": (I + "if (i == 5)\n float4 v = *reinterpret_cast<const float4*>(x + i);",
                   gpu.OutOfBounds, 4, (0, 0, 0), (5, 0, 0), "no multiple of 16 bytes"),
    "shared row": ("__shared__ float s[4][64];\ns[2][threadIdx.x + 1] = 0.0f;", gpu.OutOfBounds, 3,
                   (0, 0, 0), (63, 0, 0), "index 64 of a dimension of 64"),
    "local array": ("float a[4] = {0};\nint j = threadIdx.x / 16 + 1;\na[j] = 1.0f;", gpu.OutOfBounds, 4,
                    (0, 0, 0), (48, 0, 0), "dimension of 4"),
    "atomic": (I + "atomicAdd(&out[i * 2], 1.0f);", gpu.OutOfBounds, 3, (1, 0, 0), (0, 0, 0), "updates"),
    "unwritten shared": ("__shared__ float s[64];\nif (threadIdx.x < 60) s[threadIdx.x] = 1.0f;\n"
                         "__syncthreads();\nout[0] = s[threadIdx.x];", gpu.UninitialisedRead, 5,
                         (0, 0, 0), (60, 0, 0), r"s\[60\] in shared memory"),
    "unwritten in one block": ("__shared__ float s[64];\nif (blockIdx.x == 0) s[threadIdx.x] = 1.0f;\n"
                               "__syncthreads();\nout[0] = s[threadIdx.x];", gpu.UninitialisedRead, 5,
                               (1, 0, 0), (0, 0, 0), r"s\[0\]"),
    "unset variable": ("float v;\nout[0] = v;", gpu.UninitialisedRead, 3, (0, 0, 0), (0, 0, 0), "`v`"),
    "unset element": ("float v[2];\nv[0] = 1.0f;\nout[0] = v[1];", gpu.UninitialisedRead, 4, (0, 0, 0),
                      (0, 0, 0), "element 1"),
    "divergent barrier": ("if (threadIdx.x < 32)\n  __syncthreads();", gpu.DivergentBarrier, 3,
                          (0, 0, 0), (32, 0, 0), "32 of the block's 64 threads, which wait for"),
    "barrier in one block": ("if (blockIdx.x == 1 && threadIdx.x != 7)\n  __syncthreads();",
                             gpu.DivergentBarrier, 3, (1, 0, 0), (7, 0, 0), "63 of the block's 64"),
    "barrier in an uneven loop": ("for (int j = 0; j < threadIdx.x; ++j)\n  __syncthreads();",
                                  gpu.DivergentBarrier, 3, (0, 0, 0), (0, 0, 0), "63 of"),
    "shuffle under a mask": ("float v = 1.0f;\nif (threadIdx.x < 8)\n"
                             "  v += __shfl_down_sync(0xffffffff, v, 1);", gpu.UndefinedShuffle, 4,
                             (0, 0, 0), (8, 0, 0), "names a lane that is not here"),
    "mask leaves out the caller": ("float v = __shfl_xor_sync(0x0000ffff, 1.0f * threadIdx.x, 1);",
                                   gpu.UndefinedShuffle, 2, (0, 0, 0), (16, 0, 0), "leaves out"),
    "reads an idle lane": ("float v = 1.0f * threadIdx.x;\nif (threadIdx.x < 8)\n"
                           "  v += __shfl_down_sync(0xff, v, 4);", gpu.UndefinedShuffle, 4,
                           (0, 0, 0), (4, 0, 0), "does not take part"),
    "division by zero": (I + "out[0] = 10 / (i - 70);", gpu.UndefinedArithmetic, 3, (1, 0, 0), (6, 0, 0),
                         "divided by zero"),
    "endless loop": ("int j = 0;\nwhile (j < 10)\n  j -= j;", gpu.EndlessLoop, 3, (0, 0, 0), (0, 0, 0),
                     "does not end"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_faults_name_line_block_and_thread(name: str) -> None:
    body, kind, line, block, thread, message = FAULTS[name]
    with pytest.raises(kind, match=message) as caught:
        run(body, max_iterations=1000)
    fault = caught.value
    assert (fault.kernel, fault.line, fault.block, fault.thread) == ("k", line, block, thread)
    assert f"k, line {line}: " in str(fault) and str(fault).endswith(
        body.split("\n")[line - 2].strip()
    )


RACES = {
    "missing barrier": (
        "__shared__ float s[64];\ns[threadIdx.x] = 1.0f;\nout[0 * n] = s[63 - threadIdx.x];", 4,
        r"race on s\[63\]: reads what thread \(63, 0, 0\) wrote; is a __syncthreads",
    ),
    "barrier missing at the end of a loop": (
        "__shared__ float s[64];\nfor (int j = 0; j < 2; ++j) {\n  s[threadIdx.x] = j;\n  __syncthreads();\n"
        "  float v = s[63 - threadIdx.x];\n}", 4, "writes what thread .* read;",
    ),
    "several readers": (
        "__shared__ float s[64];\ns[threadIdx.x] = 1.0f;\n__syncthreads();\nfloat v = s[0];\n"
        "if (threadIdx.x == 40) s[0] = v;", 6, "writes what several other threads read;",
    ),
    "no __syncwarp": (
        "__shared__ float s[64];\ns[threadIdx.x] = 1.0f;\nfloat v = s[threadIdx.x ^ 1];", 4,
        "is a __syncwarp",
    ),
    "different values at once": (
        "__shared__ float s[1];\ns[0] = threadIdx.x;", 3, "several threads write different values",
    ),
    "different values in the second block": (
        "__shared__ float s[1];\ns[0] = blockIdx.x * threadIdx.x;", 3, "several threads write different",
    ),
    "atomic and plain": (
        "__shared__ int s[1];\nif (threadIdx.x == 0) s[0] = 0;\n__syncthreads();\natomicAdd(&s[0], 1);\n"
        "if (s[0] > 0) out[0] = 1.0f;", 6, "reads what .* updates",
    ),
    "two blocks write one place": (
        "if (threadIdx.x == 0)\n  out[0] = blockIdx.x;\n", 3, r"race on out\[0\]: several threads write",
    ),
    "a block reads what another writes": (
        "if (threadIdx.x == 0) out[blockIdx.x] = 1.0f;\n__syncthreads();\nfloat v = out[1 - blockIdx.x];", 4,
        "thread .0, 0, 0. of block number 1 wrote; no barrier orders blocks",
    ),
    "vector": (
        "__shared__ float4 s[64];\ns[threadIdx.x] = make_float4(0, 0, 0, 0);\n"
        "float v = ((float*)s)[4 * 63 - threadIdx.x];", 4, "race on s",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RACES)
def test_races(name: str) -> None:
    body, line, message = RACES[name]
    run(body, max_iterations=100)  # in step, as simulated without the detector, nothing shows
    with pytest.raises(gpu.DataRace, match=message) as caught:
        run(body, races=True)
    assert caught.value.line == line


QUIET = {
    "barriers": "__shared__ float s[64];\nfor (int j = 0; j < 3; ++j) {\n s[threadIdx.x] = j;\n"
                " __syncthreads();\n"
                "float v = s[63 - threadIdx.x];\n __syncthreads();\n}",
    "one warp with __syncwarp": "__shared__ float s[64];\ns[threadIdx.x] = 1.0f;\n__syncwarp();\n"
                                "float v = s[threadIdx.x ^ 1];\n__syncwarp();\ns[threadIdx.x] = v;",
    "equal values": "__shared__ float s[1];\ns[0] = 1.0f;",
    "own place": "__shared__ float s[64];\ns[threadIdx.x] = 1.0f;\ns[threadIdx.x] += 2.0f;",
    "atomics": "__shared__ int s[1];\nif (threadIdx.x == 0) s[0] = 0;\n__syncthreads();\n"
               "atomicAdd(&s[0], 1);\n__syncthreads();\nfloat v = s[0];",
    "blocks that leave early": "if (blockIdx.x == 1) return;\n__shared__ float s[64];\n"
                               "s[threadIdx.x] = 1.0f;\n__syncthreads();\nfloat v = s[63 - threadIdx.x];",
    "threads that returned": "if (threadIdx.x >= 40) return;\n__syncthreads();",
    "global atomics": "atomicAdd(&out[0], 1.0f);",
}  # fmt: skip


@pytest.mark.parametrize("name", QUIET)
def test_no_race_where_there_is_none(name: str) -> None:
    run(QUIET[name], races=True)


REFUSED = {
    "switch (n) { case 1: break; }": "`switch` is outside the subset: write if / else if",
    "goto end;": "use loops",
    "long v = 1;": "write int or long long",
    "int8_t v = 1;": "`int8_t` is outside the subset: write signed char",
    "struct P { int a; };": "use arrays",
    "auto v = 1;": "write the type",
    "printf(0);": "store what you want to see",
    "float** p;": "pointers to pointers",
    "float v = y;": "`y` is not declared",
    "float v = foo(1.0f);": r"foo is not a function of the subset: lmbook.gpu.functions\(\)",
    "float4 a, b; float4 c = a + b;": "write it for .x, .y, .z, .w",
    "float v = 1.0f % 2.0f;": "use fmodf",
    "int a = 1; int* p = &a;": "pass a variable by reference",
    "x[0] = 1.0f;": "drop `const`",
    "const int a = n; a = 2;": "`a` is const: drop `const`",
    "float* p = x;": "declare the target `const`",
    "__half h = __float2half(1.0f); float v = h * 2.0f;": "convert with __half2float",
    "float a[n];": "must be known at compile time",
    "float a[2]; a[2] = 0.0f;": "index 2 of a dimension of 2",
    "__shared__ float s = 1.0f;": "has no initial value",
    "float v = expf(1.0f, 2.0f);": "expf takes 1 arguments, not 2",
    "int p = out - x;": "compute with indices",
    "float v = n ? out : x;": "types",
    "threadIdx.x = 3;": "cannot be assigned to",
    "threadIdx.w;": "has x, y and z",
    "int k2 = out->x;": "`->` is outside the subset",
    "float v = 1.0f": "expected ';'",
    "if (n { }": r"expected '\)'",
    "float v = 3 $ 4;": "does not belong here",
    "k(out, x, n);": "calls itself",
    "float v = half2float(1);": "not a function",
    "float v = __shfl_sync(0xffffffff, 1.0f, 0, n);": "constant 2, 4, 8, 16 or 32",
    "atomicAdd(x, 1.0f);": "const data",
    "atomicAdd(out[0], 1.0f);": "write &array",
    "atomicMax(&out[0], 1.0f);": "atomicMax does not exist for float",
    "return 1;": "must return",
    "int v = *n;": "needs a pointer",
}  # fmt: skip


@pytest.mark.parametrize("body", REFUSED)
def test_outside_the_subset(body: str) -> None:
    source = f'extern "C" __global__ void k(float* out, const float* x, int n) {{\n\n{body}\n}}'
    with pytest.raises(gpu.SubsetError, match=REFUSED[body]) as caught:
        gpu.Kernel(source, "k")
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("#if 1\n#endif", "write two kernels or a template"),
        ("float table[4];", "use constexpr"),
        ("int f(int x) { return x; }", "put __device__ before it"),
        ("__constant__ float w[3];", "pass a `const T"),
        ("__device__ int f(int x) { return f(x); }\n__global__ void k() { f(1); }", "calls itself"),
        ("template <float F> __global__ void k() {}", "use int, bool or typename"),
        ("template <int N> __global__ void k() {}", "needs a value for N"),
        ("__global__ int k() {}", "must return"),
        ("__global__ void other() {}", "no kernel k; it has other"),
        ("__device__ void k() {}", "write __global__"),
        ("__global__ void k(float (*p)[4]) {}", "expected a name"),
        ("__global__ void k(float p[4][4]) {}", "pass a pointer and compute"),
        ("#define A B\n#define B A\n__global__ void k() { int x = A; }", "expands to itself"),
        ("#define F(a, b) a\n__global__ void k() { int x = F(1); }", "F takes 2 arguments"),
        ("__global__ void k() {", "is a brace missing"),
        ("__global__ void k() {} __global__ void k() {}", "two functions"),
        ("__global__ void k(float4 v) {}", "must be a number or a pointer"),
        ('extern "C" { __global__ void k() {} }', "before each kernel"),
    ],
)
def test_files_outside_the_subset(source: str, message: str) -> None:
    with pytest.raises(gpu.SubsetError, match=message):
        gpu.Kernel(source, "k")


def test_pointers_under_a_mask() -> None:
    out = run(
        "const float* p = x;\nif (threadIdx.x >= 32) p = x + 64;\n"
        "out[blockIdx.x * 64 + threadIdx.x] = p[threadIdx.x % 32];"
    )
    lanes = np.arange(64)
    assert (out == np.tile(np.where(lanes < 32, lanes, lanes + 32), 2)).all()
    for body in (
        "const float* p = x;\nif (threadIdx.x >= 32) p = out;\nfloat v = p[0];",
        "float v = *(threadIdx.x < 32 ? x : (const float*)out);",
    ):
        with pytest.raises(gpu.SubsetError, match="different arrays"):
            run(body)


def test_references_to_elements() -> None:
    before = (
        "__device__ void order(float& a, float& b) { if (a > b) { float t = a; a = b; b = t; } }\n"
        "template <int N> __device__ float turn(float v) {\n"
        "  __shared__ float s[N];\n  s[threadIdx.x % N] = v;\n  __syncwarp();\n"
        "  float r = s[(threadIdx.x + 1) % N];\n  __syncwarp();\n  return r;\n}\n"
    )
    out = run(
        "int t = threadIdx.x;\nfloat a[2] = {1.0f * t, 16.0f};\norder(a[0], a[1]);\n"
        "out[t] = a[0] + turn<32>(a[1]) * 100 + turn<16>(turn<32>(1.0f)) * 0;",
        block=32, grid=1, before=before,
    )  # fmt: skip
    t = np.arange(32)
    assert (out[:32] == np.minimum(t, 16) + 100 * np.maximum((t + 1) % 32, 16)).all()


def test_uninitialised_lanes_of_a_variable() -> None:
    """Lanes that never assigned hold NaN, so that a forgotten start shows in the result."""
    out = run("float v;\nif (threadIdx.x < 10) v = 1.0f;\nout[blockIdx.x * 64 + threadIdx.x] = v;")
    assert (out[:10] == 1).all() and np.isnan(out[10:64]).all()


def test_the_subset_is_listed() -> None:
    assert "reinterpret_cast<T*>(p)" in gpu.SUBSET
    assert {"__shfl_xor_sync", "__syncthreads"} <= set(gpu.functions()["warp"])
    assert "expf" in gpu.functions()["mathematics"] and "atomicCAS" in gpu.functions()["atomic"]


def test_wrong_results_name_the_store() -> None:
    from lmbook.gpu.kernels import Rung, transpose

    class Planted(Rung):
        def __init__(self, source: str) -> None:
            self.__dict__ |= transpose.__dict__ | {"source": source}

    a = np.random.default_rng(0).standard_normal((40, 33)).astype(np.float32)
    swapped = Planted(transpose.source.replace("b[x * rows + y]", "b[x * rows + rows - 1 - y]"))
    with pytest.raises(
        gpu.WrongResult, match=r"element \(0, 0\) is .*, NumPy has .*line 6 stored it"
    ) as caught:
        swapped.verify("transpose1_naive", a)
    assert (caught.value.kernel, caught.value.line) == ("transpose1_naive", 6)
    silent = Planted(transpose.source.replace("x < cols && y < rows) b", "x < 0 && y < 0) b"))
    with pytest.raises(gpu.WrongResult, match="no kernel stores anything there"):
        silent.verify("transpose1_naive", a)
    half = Planted(transpose.source.replace("x < cols && y < rows) b", "x < 9) b"))
    with pytest.raises(gpu.WrongResult, match="line 6 stores others, but nothing was stored there"):
        half.verify("transpose1_naive", a[:32])
    transpose.verify("transpose1_naive", a)
