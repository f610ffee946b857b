"""The subset of CUDA C means what C means: every construct against NumPy or arithmetic by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lmbook import gpu

LANES = np.arange(64)


def ints(body: str, before: str = "", block: int = 64, grid: int = 1) -> np.ndarray:
    """What a kernel's body leaves in `out[i]`, one int a thread, with `i` the thread."""
    source = f"""{before}
extern "C" __global__ void k(int* out) {{
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  {body}
}}"""
    out = np.full(grid * block, -99, np.int32)
    gpu.Kernel(source, "k").simulate(grid, block, (out,), races=True)
    return out


def floats(expression: str, x: np.ndarray) -> np.ndarray:
    """`expression` of the float v, for every entry of x."""
    source = f"""extern "C" __global__ void k(const float* x, float* out, int n) {{
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {{ float v = x[i]; out[i] = {expression}; }}
}}"""
    out = np.zeros(len(x), np.float32)
    gpu.Kernel(source, "k").simulate(-(-len(x) // 32), 32, (x.astype(np.float32), out, len(x)))
    return out


def c_div(a: np.ndarray, b: int) -> np.ndarray:
    return np.trunc(a / b).astype(int)


EXPRESSIONS = [
    ("i + 2 * 3 - 1", LANES + 5),
    ("(i + 2) * 3", (LANES + 2) * 3),
    ("(i - 20) / 7", c_div(LANES - 20, 7)),
    ("(i - 20) % 7", LANES - 20 - 7 * c_div(LANES - 20, 7)),
    ("(20 - i) / -3", c_div(20 - LANES, -3)),
    ("i << 2 | i >> 3 & 1 ^ 5", (LANES << 2) | ((LANES >> 3) & 1) ^ 5),
    ("-i >> 1", -LANES >> 1),
    ("~i & 0xff", ~LANES & 255),
    ("!i + !!i * 10", (LANES == 0) + (LANES != 0) * 10),
    ("i < 10 == i != 3", ((LANES < 10).astype(int) == LANES) != 3),
    ("i > 5 && i < 9 || i == 40", ((LANES > 5) & (LANES < 9)) | (LANES == 40)),
    ("i < 30 ? i : 30", np.minimum(LANES, 30)),
    ("i % 2 ? i / 2 : i % 4 ? 7 : -7", np.where(LANES % 2, LANES // 2, np.where(LANES % 4, 7, -7))),
    ("(int)3.9f + (int)-3.9f", np.zeros(64)),
    ("(int)(unsigned char)(i * 9)", LANES * 9 % 256),
    ("(signed char)(i * 9)", (LANES * 9).astype(np.int8)),
    ("threadIdx.x - 1 < 0", np.zeros(64)),  # unsigned, so it wraps
    ("(int)threadIdx.x - 1 < 0", LANES < 1),
    ("sizeof(float4) + sizeof(short)", np.full(64, 18)),
    ("2147483647 + i < 0", LANES > 0),
    ("(int)((long long)i * 100000 * 100000 / 1000000000)", LANES * 10),
    ("max(i, 40) - min(i, 3) + abs(i - 5)", np.maximum(LANES, 40) - np.minimum(LANES, 3) + abs(LANES - 5)),
    ("010 + 0x1F + 10", np.full(64, 49)),
    ("__popc(i) * 100 + __ffs(i) * 10",
     [bin(v).count("1") * 100 + ((v & -v).bit_length()) * 10 for v in range(64)]),
    ("__clz(i)", [32 - v.bit_length() for v in range(64)]),
    ("__float_as_int(1.0f) + i", 0x3F800000 + LANES),
    ("(int)__int_as_float(0x40400000)", np.full(64, 3)),
    ("__dp4a(0x01020304, 0x01010101 * 2, i)", 20 + LANES),
    ("__dp4a(-1, 0x7f7f7f7f, i)", LANES - 4 * 127),
    ("__float2int_rn(2.5f) + __float2int_rn(3.5f) + __float2int_rd(-0.5f)", np.full(64, 5)),
    ("(int)(half)1.5f * 2 + (int)__half2float(__float2half(2.0f))", np.full(64, 4)),
    ("true + false + (i == i)", np.full(64, 2)),
    ("INT_MAX + INT_MIN", np.full(64, -1)),
    ("1e3 + 1.5e1f", np.full(64, 1015)),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), EXPRESSIONS, ids=[e for e, _ in EXPRESSIONS])
def test_expressions(expression: str, expected: np.ndarray) -> None:
    assert (ints(f"out[i] = {expression};") == np.asarray(expected)).all()


STATEMENTS = {
    "if without else": ("int s = 1; if (i < 5) s = 2; out[i] = s;", np.where(LANES < 5, 2, 1)),
    "else if": (
        "if (i < 5) out[i] = 1; else if (i < 9) out[i] = 2; else { out[i] = 3; }",
        np.where(LANES < 5, 1, np.where(LANES < 9, 2, 3)),
    ),
    "for with rounds that differ": (
        "int s = 0; for (int j = 0; j < i; ++j) s += j; out[i] = s;", LANES * (LANES - 1) // 2,
    ),
    "while": ("int n = i, s = 0; while (n > 0) { n /= 2; s++; } out[i] = s;",
              [v.bit_length() for v in range(64)]),
    "do": ("int n = i, s = 0; do { n /= 2; s++; } while (n > 0); out[i] = s;",
           [max(1, v.bit_length()) for v in range(64)]),
    "do once": ("int s = 0; do { s += 2; if (i == 3) continue; s++; } while (0); out[i] = s;",
                np.where(LANES == 3, 2, 3)),
    "break": ("int s = 0; for (int j = 0; j < 10; ++j) { if (j == i) break; s++; } out[i] = s;",
              np.minimum(LANES, 10)),
    "continue": (
        "int s = 0; for (int j = 0; j < 10; ++j) { if ((j + i) % 3 == 0) continue; s += j; } out[i] = s;",
        [sum(j for j in range(10) if (j + v) % 3) for v in range(64)],
    ),
    "break out of the inner loop alone": (
        "int s = 0; for (int a = 0; a < 4; ++a) for (int b = 0; b < 4; ++b) { if (b > i % 5) break; s++; }"
        "out[i] = s;", np.minimum(LANES % 5 + 1, 4) * 4,
    ),
    "endless for with break": ("int s = 0; for (;;) { if (++s > i) break; } out[i] = s;", LANES + 1),
    "return in a loop": (
        "out[i] = 0; for (int j = 0; j < 5; ++j) { out[i] = j; if (j == i) return; } out[i] = 50;",
        np.where(LANES < 5, LANES, 50),
    ),
    "early return": ("if (i >= 40) return; out[i] = i;", np.where(LANES < 40, LANES, -99)),
    "steps": ("int a = i; int b = a++ + ++a; a--; --a; out[i] = 1000 * a + b;", 1000 * LANES + 2 * LANES + 2),
    "comma": ("int a, b; for (a = 0, b = 10; a < b; a++, b -= 2) ; out[i] = 10 * a + b;", np.full(64, 42)),
    "compound": (
        "int a = i; a += 3; a *= 2; a -= 1; a <<= 2; a |= 1; a ^= 3; a >>= 1; a %= 50; a &= 63;"
        "a /= 3; out[i] = a;",
        [(((((v + 3) * 2 - 1) << 2 | 1) ^ 3) >> 1) % 50 // 3 for v in range(64)],
    ),
    "shadowed names": ("int a = 1; { int a = 2; a++; } if (i) { int a = 9; a++; } out[i] = a;", np.ones(64)),
    "chained": ("int a, b; a = b = i * 2; out[i] = a + b;", 4 * LANES),
    "short circuit": (  # the right side would divide by zero
        "int z = i % 2; out[i] = (z != 0 && 10 / z == 10) || (z == 0 ? true : 5 / z == 0);",
        np.ones(64),
    ),
    "several declarators": ("int a = 1, b[2] = {4, 5}, c = b[1]; out[i] = a + b[0] + c;", np.full(64, 10)),
    "arrays in registers": (
        "int a[3][2] = {0}; for (int j = 0; j < 6; ++j) a[j / 2][j % 2] += j * i;"
        "out[i] = a[2][1] + a[1][0];",
        7 * LANES,
    ),
    "dynamic index of a local array": (
        "int a[4] = {3, 1, 4, 1}; a[i % 4] += i; out[i] = a[(i + 4) % 4] * 10 + a[0];",
        [10 * ([3, 1, 4, 1][v % 4] + v) + 3 + v * (v % 4 == 0) for v in range(64)],
    ),
    "vectors": (
        "int4 v = make_int4(i, 1, 2, 3); v.x += 5; v.w = v.x * 2; int2 u = {7, 8}; int4 w = v; w.y = u.y;"
        "out[i] = v.x + v.y + w.y + w.w;", 3 * (LANES + 5) + 9,
    ),
    "vector under a mask": ("int2 v = {1, 2}; if (i > 9) { v.x = i; v.y = 0; } out[i] = v.x + v.y;",
                            np.where(LANES > 9, LANES, 3)),
    "array of vectors": (
        "int2 v[2]; for (int j = 0; j < 2; ++j) { v[j].x = i; v[j].y = j; }"
        "out[i] = v[0].x + v[1].y + v[1].x;",
        2 * LANES + 1,
    ),
    "pointers": (
        "int a[4] = {1, 2, 3, 4}; int* p = a + 1; p++; *p = 10; p -= 2; out[i] = *p + p[2] + *(p + 3);",
        np.full(64, 15),
    ),
    "const pointer": ("int* q = out + i; *q = i; const int* p = out; out[i] = *q + p[i];", 2 * LANES),
}  # fmt: skip


@pytest.mark.parametrize("name", STATEMENTS)
def test_statements(name: str) -> None:
    body, expected = STATEMENTS[name]
    assert (ints(body) == np.asarray(expected)).all()


def test_functions_templates_and_macros() -> None:
    before = """
#define SQUARE(x) ((x) * (x))
#define WIDE \\
  7
#define TWO(a, b) (a + b * WIDE)
constexpr int BASE = WIDE * 2;
template <int N> __device__ int power(int x) { int p = 1; for (int k = 0; k < N; ++k) p *= x; return p; }
template <typename T> __device__ __forceinline__ T larger(T a, T b) { return a > b ? a : b; }
__device__ void swap(int& a, int& b) { int t = a; a = b; b = t; }
__device__ int sign(int x) { if (x < 0) return -1; if (x > 0) return 1; return 0; }
__device__ int total(const int* a, int n) { int s = 0; for (int k = 0; k < n; ++k) s += a[k]; return s; }
"""
    body = """
  int a = i, b = 100;
  swap(a, b);
  int c[3] = {1, 2, 3};
  const int LOCAL = BASE + 1;
  int d[LOCAL];
  d[LOCAL - 1] = LOCAL;
  out[i] = power<2>(a) + b + larger(i, 5) + larger<int>(1, 2) + sign(i - 3) + SQUARE(i + 1)
         + TWO(1, 2) + total(c, 3) + d[14];
"""
    i = LANES
    expected = 10000 + i + np.maximum(i, 5) + 2 + np.sign(i - 3) + (i + 1) ** 2 + 15 + 6 + 15
    assert (ints(body, before) == expected).all()


def test_kernel_templates() -> None:
    source = """
template <int N, typename T> __global__ void k(T* out) { out[threadIdx.x] = (T)(threadIdx.x * N) / 2; }
"""
    whole, real = np.zeros(32, np.int32), np.zeros(32, np.float32)
    gpu.Kernel(source, "k<3, int>")(1, 32, (whole,))
    gpu.Kernel(source, "k<3, float>")(1, 32, (real,))
    assert (whole == np.arange(32) * 3 // 2).all()
    assert (real == np.arange(32) * 1.5).all()


FUNCTIONS = [
    ("expf(v)", np.exp), ("__expf(v) + exp2f(v)", lambda x: np.exp(x) + np.exp2(x)),
    ("logf(fabsf(v) + 1.0f)", lambda x: np.log1p(abs(x))),
    ("sqrtf(v * v + 1.0f) * rsqrtf(v * v + 4.0f)", lambda x: np.sqrt((x * x + 1) / (x * x + 4))),
    ("tanhf(v)", np.tanh), ("erff(v)", lambda x: np.array([math.erf(t) for t in x])),
    ("sinf(v) + cosf(v)", lambda x: np.sin(x) + np.cos(x)),
    ("fmaxf(v, 0.5f) - fminf(v, -0.5f)", lambda x: np.maximum(x, 0.5) - np.minimum(x, -0.5)),
    ("fmaf(v, v, 1.0f)", lambda x: x * x + 1), ("powf(fabsf(v), 1.5f)", lambda x: abs(x) ** 1.5),
    ("floorf(v) + ceilf(v) * 10.0f + truncf(v) * 100.0f",
     lambda x: np.floor(x) + 10 * np.ceil(x) + 100 * np.trunc(x)),
    ("rintf(v * 2.0f) + roundf(v)", lambda x: np.rint(2 * x) + np.copysign(np.floor(abs(x) + 0.5), x)),
    ("__fdividef(1.0f, v + 9.0f) + __frcp_rn(v + 9.0f)", lambda x: 2 / (x + 9)),
    ("isnan(v) ? 1.0f : isinf(v) ? 2.0f : 3.0f", lambda x: 0 * x + 3),
    ("-v > 0.0f ? -INFINITY : FLT_MAX", lambda x: np.where(x < 0, -np.inf, np.finfo(np.float32).max)),
    ("(float)(v > 0) + v * 2", lambda x: (x > 0) + 2 * x),
    ("1.0 / 3.0 + v", lambda x: 1 / 3 + x),
    ("log1pf(expm1f(v))", lambda x: x),
    ("copysignf(2.0f, v) + fmodf(v, 0.75f)", lambda x: np.copysign(2, x) + np.fmod(x, 0.75)),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "reference"), FUNCTIONS, ids=[e for e, _ in FUNCTIONS])
def test_mathematics(expression: str, reference, rng: np.random.Generator) -> None:
    x = rng.standard_normal(45) * 2
    expected = reference(x.astype(np.float32).astype(float))
    np.testing.assert_allclose(floats(expression, x), expected, rtol=3e-6, atol=3e-6)


def test_float_arithmetic_has_single_precision() -> None:
    x = np.full(8, 0.1)
    assert (floats("v * 3.0f + v", x) == np.float32(0.1) * np.float32(3) + np.float32(0.1)).all()


SHUFFLE = [
    ("__shfl_down_sync(0xffffffff, i, 3)", [v + 3 if v % 32 < 29 else v for v in range(64)]),
    ("__shfl_up_sync(0xffffffffu, i, 2)", [v - 2 if v % 32 >= 2 else v for v in range(64)]),
    ("__shfl_xor_sync(0xffffffff, i, 5)", LANES ^ 5),
    ("__shfl_sync(0xffffffff, i, 7)", LANES // 32 * 32 + 7),
    ("__shfl_sync(0xffffffff, i, (i * 3) % 32)", LANES // 32 * 32 + LANES * 3 % 32),
    ("__shfl_sync(0xffffffff, i, 1, 8)", LANES // 8 * 8 + 1),
    ("__shfl_down_sync(0xffffffff, i, 3, 16)", [v + 3 if v % 16 < 13 else v for v in range(64)]),
    ("(int)__ballot_sync(0xffffffff, i % 3 == 0)",
     [np.uint32(sum(1 << b for b in range(32) if (v // 32 * 32 + b) % 3 == 0)).astype(np.int32)
      for v in range(64)]),
    ("__any_sync(0xffffffff, i > 40) * 2 + __all_sync(0xffffffff, i > 31)", np.where(LANES < 32, 0, 3)),
    ("__popc(__activemask())", np.full(64, 32)),
    ("(int)(__shfl_xor_sync(0xffffffff, i * 0.5f, 1) * 2.0f)", LANES ^ 1),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), SHUFFLE, ids=[e for e, _ in SHUFFLE])
def test_warp_functions(expression: str, expected) -> None:
    assert (ints(f"out[i] = {expression};") == np.asarray(expected)).all()


def test_votes_and_shuffles_of_a_part_of_a_warp() -> None:
    body = """
  out[i] = 0;
  if (i % 32 < 8) {
    unsigned m = __ballot_sync(0x000000ff, i % 2);
    out[i] = (int)m * 100 + __shfl_down_sync(0x000000ff, i, 1, 8);
  }"""
    expected = [0xAA * 100 + (v + (v % 8 < 7)) if v % 32 < 8 else 0 for v in range(64)]
    assert (ints(body) == np.asarray(expected)).all()


def test_atomics_serialise_and_return_the_old_value() -> None:
    source = """extern "C" __global__ void k(int* c, int* old, float* f) {
  __shared__ int s;
  int i = threadIdx.x;
  if (i == 0) s = 0;
  __syncthreads();
  old[blockIdx.x * 64 + i] = atomicAdd(&s, 2);
  __syncthreads();
  atomicAdd(&c[0], 1);
  atomicMax(&c[1], i * 7 % 64);
  atomicMin(&c[2], -i);
  atomicOr(c + 3, 1 << (i % 8));
  atomicSub(&c[4], 1);
  atomicAnd(&c[5], ~(1 << (i % 4)));
  atomicXor(&c[6], i);
  if (i == 5) atomicExch(&c[7], s);
  atomicAdd(f, 0.5f);
  int seen = c[8], wish;
  do { wish = seen; seen = atomicCAS(&c[8], wish, wish + 3); } while (seen != wish);
}"""
    c = np.zeros(9, np.int32)
    c[5] = -1
    old, f = np.zeros(128, np.int32), np.zeros(1, np.float32)
    gpu.Kernel(source, "k")(2, 64, (c, old, f))
    assert c[:5].tolist() == [128, 63, -63, 255, -128] and c[5] == -16 and c[7] == 128
    assert c[6] == 0 and c[8] == 3 * 128 and f[0] == 64
    for block in old.reshape(2, 64):
        assert sorted(block) == list(range(0, 128, 2))


def test_dynamic_shared_memory_and_pointer_casts(rng: np.random.Generator) -> None:
    source = """extern "C" __global__ void k(const float* x, float* y, int n) {
  extern __shared__ float s[];
  float* tail = s + 64;
  reinterpret_cast<float4*>(s)[threadIdx.x] = reinterpret_cast<const float4*>(x)[threadIdx.x];
  for (int j = 0; j < 4; ++j) tail[threadIdx.x + 16 * j] = (float)j;
  __syncthreads();
  float2 v = *(float2*)(s + 2 * threadIdx.x);
  float4 t = ((const float4*)tail)[threadIdx.x];
  ((float2*)y)[threadIdx.x] = make_float2(v.y + t.x, v.x);
}"""
    x, y = rng.standard_normal(64).astype(np.float32), np.zeros(32, np.float32)
    gpu.Kernel(source, "k")(1, 16, (x, y, 64), shared_mem=4 * 128)
    expected = x[:32].reshape(16, 2)[:, ::-1].copy()
    expected[:, 0] += np.arange(16) // 4
    assert (y.reshape(16, 2) == expected).all()


def test_half_and_bytes(rng: np.random.Generator) -> None:
    source = """#include <cuda_fp16.h>
extern "C" __global__ void k(const __half* h, const signed char* b, const unsigned char* u, __half* out,
                             float* f) {
  int i = threadIdx.x;
  __half two = __float2half(2.0f);
  out[i] = __hadd(h[i] * two, __float2half(1.0f));
  char4 c = ((const char4*)b)[i];
  f[i] = (float)(c.x + c.y + c.z + c.w) + u[i] * 0.5f;
}"""
    h = rng.standard_normal(32).astype(np.float16)
    b = rng.integers(-128, 128, 128).astype(np.int8)
    u = rng.integers(0, 256, 32).astype(np.uint8)
    out, f = np.zeros(32, np.float16), np.zeros(32, np.float32)
    gpu.Kernel(source, "k")(1, 32, (h, b, u, out, f))
    assert (out == h * np.float16(2) + np.float16(1)).all()
    assert (f == b.reshape(32, 4).astype(int).sum(1) + u * 0.5).all()


def test_three_dimensional_grids_and_blocks() -> None:
    source = """extern "C" __global__ void k(int* out) {
  int t = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  int b = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  out[b * blockDim.x * blockDim.y * blockDim.z + t] = threadIdx.x + 10 * threadIdx.y + 100 * threadIdx.z
      + 1000 * blockIdx.x + 10000 * blockIdx.y + 100000 * blockIdx.z;
}"""
    out = np.full(3 * 2 * 2 * 30, -1, np.int32)
    gpu.Kernel(source, "k")((3, 2, 2), (5, 3, 2), (out,))
    bz, by, bx, z, y, x = np.indices((2, 2, 3, 2, 3, 5))
    assert (out == (x + 10 * y + 100 * z + 1000 * bx + 10000 * by + 100000 * bz).ravel()).all()


def test_many_batches_of_blocks_are_one_launch(rng: np.random.Generator) -> None:
    """More lanes than run in step at once, and blocks whose last warp is not full."""
    x = rng.standard_normal(300_000).astype(np.float32)
    y = np.zeros_like(x)
    source = """extern "C" __global__ void k(const float* x, float* y, int n) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) y[i] = 2.0f * x[i];
}"""
    gpu.Kernel(source, "k")(1500, 100, (x, y, len(x)))
    assert (y == 2 * x).all()
