"""Counters equal what can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook import gpu
from lmbook.gpu import kernels as ladder
from lmbook.gpu.kernels.attention import flash_forward


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, np.float32)


def reports(rung: ladder.Rung, plan: ladder.Plan) -> list[gpu.Report]:
    return [
        rung.kernel(x.kernel).simulate(x.grid, x.block, x.args, shared_mem=x.shared_mem)
        for x in plan.launches
    ]


def test_copy(rng: np.random.Generator) -> None:
    x = normal(rng, 1 << 14)
    (r,) = ladder.copy.run("copy1_scalar", x).reports
    assert r.total.sectors_per_load == r.total.sectors_per_store == 4
    assert r.total.load_requests == x.size // 32 and r.total.load_efficiency == 1
    assert r.bytes_touched == r.bytes_issued == 2 * x.nbytes
    (r,) = reports(ladder.copy, ladder.copy_offset(x, 1))
    assert r.total.load_sectors == 5 * x.size // 32 - 1  # the last warp has 31 lanes, in 4 sectors
    (r,) = reports(ladder.copy, ladder.copy_offset(x, 8))
    assert r.total.load_sectors == (x.size - 8) // 8
    for stride, sectors in ((2, 8), (4, 16), (8, 32), (32, 32)):
        (r,) = reports(ladder.copy, ladder.copy_strided(x, stride))
        assert r.total.sectors_per_load == r.total.sectors_per_store == sectors
        assert r.total.load_efficiency == 4 / min(32, 4 * stride)
    (r,) = ladder.copy.run("copy4_float4", x).reports
    assert r.total.sectors_per_load == 16 and r.total.load_efficiency == 1
    assert r.total.load_requests == x.size // 128


def test_transpose(rng: np.random.Generator) -> None:
    a = normal(rng, 128, 96)
    expected = {  # sectors a store request, wavefronts a shared load
        "transpose1_naive": (32, None), "transpose2_tiled": (4, 32), "transpose3_padded": (4, 1),
        "transpose4_swizzled": (4, 1),
    }  # fmt: skip
    for name, (sectors, ways) in expected.items():
        (r,) = ladder.transpose.run(name, a).reports
        assert r.total.sectors_per_load == 4 and r.total.sectors_per_store == sectors
        if ways:
            assert r.total.shared_load_conflict == ways and r.total.shared_store_conflict == 1


def test_reduction(rng: np.random.Generator) -> None:
    """A block of 256 is 8 warps and a tree of 8 levels."""
    blocks = 4
    x = normal(rng, 256 * blocks)
    divergent = {
        "reduce1_interleaved": 5 * 8 + 4 + 2 + 1 + 1,  # at d = 1 .. 16 all warps, then half as many
        "reduce2_strided": 5 + 1, "reduce3_sequential": 5 + 1,  # the first warp, and the last `if`
        "reduce4_shuffle": 8 + 1,
    }  # fmt: skip
    for name, count in divergent.items():
        (r,) = ladder.reduction.run(name, x).reports
        assert r.total.divergent == count * blocks
        additions = 256 * 5 + 32 * 3 if name == "reduce4_shuffle" else 255
        assert r.total.flops == (additions + 1) * blocks


@pytest.mark.parametrize(
    ("name", "working", "index"),
    [
        ("reduce1_interleaved", 5 * 8 + 4 + 2 + 1, 2),  # warps that add, over all levels
        ("reduce2_strided", 4 + 2 + 6, 2),
        ("reduce3_sequential", 4 + 2 + 6, 0),
    ],
)
def test_warp_operations_of_a_tree(
    name: str, working: int, index: int, rng: np.random.Generator
) -> None:
    """Every operation that the source asks for, in all 8 warps unless they rest."""
    (r,) = ladder.reduction.run(name, normal(rng, 256)).reports
    first = 8 * (2 + 4 + 1)  # index; compare, load, select, store; barrier
    level = 8 * (2 + index + 2 + 1 + 1)  # test and branch, index, `if` and branch, barrier, step
    addition = 5 * working  # t + d, two loads, the sum, the store
    last = 8 * 2 + 8 * 2 + 2  # the loop's last test; `if` and branch; load and atomic
    assert r.total.operations == first + 8 * level + addition + last


def test_reduction_banks(rng: np.random.Generator) -> None:
    (r,) = ladder.reduction.run("reduce2_strided", normal(rng, 256)).reports
    # at distance d, 128 / d lanes stand 2 d words apart, so min(2 d, 32) of a warp's 32 share a bank
    ways = [
        (max(1, 4 // d), max(1, min(32, 128 // d) * min(2 * d, 32) // 32))
        for d in 2 ** np.arange(8)
    ]
    assert ways == [(4, 2), (2, 4), (1, 8), (1, 8), (1, 8), (1, 4), (1, 2), (1, 1)]
    loads = r.line("s[at] += s[at + d]").shared_load_wavefronts
    assert loads == 2 * sum(warps * way for warps, way in ways)


def test_rows(rng: np.random.Generator) -> None:
    x = normal(rng, 64, 256)
    passes = {
        "softmax1_thread": 3,
        "softmax2_warp": 3,
        "softmax3_online": 2,
        "softmax4_registers": 1,
    }
    for name, n in passes.items():
        (r,) = ladder.softmax.run(name, x).reports
        assert r.bytes_touched == 2 * x.nbytes and r.total.load_bytes == n * x.nbytes
        assert r.total.sectors_per_load == (32 if name == "softmax1_thread" else 4)
    w = normal(rng, 256)
    for name, n in (("layer_norm2_block", 3), ("layer_norm3_staged", 1)):
        (r,) = ladder.layer_norm.run(name, x, w, w.copy()).reports
        row_loads = r.total.load_bytes - 2 * x.nbytes  # weight and bias are read once a row
        assert row_loads == n * x.nbytes and r.total.store_bytes == x.nbytes
        assert r.bytes_touched == 2 * x.nbytes + 2 * w.nbytes


def test_elementwise(rng: np.random.Generator) -> None:
    x, bias = normal(rng, 256, 1024), normal(rng, 1024)
    touched = {
        name: sum(r.bytes_touched for r in ladder.bias_gelu.run(name, x, bias).reports)
        for name in ladder.bias_gelu.versions
    }
    assert touched["bias_gelu1_separate"] == 4 * x.nbytes + bias.nbytes  # 4.2 MB
    assert touched["bias_gelu2_fused"] == touched["bias_gelu3_float4"] == 2 * x.nbytes + bias.nbytes
    n = 1 << 12
    arrays = [normal(rng, n) for _ in range(3)] + [abs(normal(rng, n))]
    for name, each in (("adamw1_separate", 40), ("adamw2_fused", 28), ("adamw3_float4", 28)):
        assert sum(r.bytes_touched for r in ladder.adamw.run(name, *arrays).reports) == each * n


def test_matmul(rng: np.random.Generator) -> None:
    n = 128
    a, b = normal(rng, n, n), normal(rng, n, n)
    r = {name: ladder.matmul.run(name, a, b).reports[0] for name in ladder.matmul.versions}
    assert all(x.total.flops == 2 * n**3 for x in r.values())
    assert r["matmul1_naive"].total.sectors_per_load == 16.5  # (32 + 1) / 2
    assert r["matmul2_coalesced"].total.sectors_per_load == 2.5  # (1 + 4) / 2
    for name, bytes_per_flop in (
        ("matmul3_tiled", 4 / 32), ("matmul4_registers", 4 / 64), ("matmul5_vectorised", 4 / 64),
        ("matmul6_double_buffered", 4 / 64),
    ):  # fmt: skip
        assert r[name].total.load_bytes / r[name].total.flops == bytes_per_flop
    assert r["matmul4_registers"].line("As[k][r] =").shared_store_conflict == 8
    for name in ("matmul5_vectorised", "matmul6_double_buffered"):
        assert r[name].total.shared_store_conflict == 1 == r[name].total.shared_load_conflict
    tiles = n // 8
    assert r["matmul5_vectorised"].total.barriers == 2 * tiles * 8 * 4  # 8 warps, 4 blocks
    assert r["matmul6_double_buffered"].total.barriers == tiles * 8 * 4


def test_convolution(rng: np.random.Generator) -> None:
    x, w = normal(rng, 4, 16, 32), normal(rng, 8, 4, 3, 3)
    first, second = ladder.convolution.run("conv1_im2col", x, w).reports
    stored = {t.name: t.stored for t in first.traffic}
    assert stored == {"x": 0, "col": 9 * x.nbytes}
    assert second.total.flops == 2 * 8 * 36 * 16 * 32
    (direct,) = ladder.convolution.run("conv2_direct", x, w).reports
    assert direct.bytes_touched == x.nbytes + w.nbytes + 2 * x.nbytes
    inside = (3 * 16 - 2) * (3 * 32 - 2)  # taps that fall on the image
    assert direct.total.flops == 2 * 8 * 4 * inside
    (tiled,) = ladder.convolution.run("conv3_tiled", x, w).reports
    assert tiled.line("tile[ky][kx]").load_bytes < direct.line("sum +=").load_bytes / 8


def test_embedding(rng: np.random.Generator) -> None:
    ids, dy, vocabulary = ladder.embedding.sample(rng, (100, 30, 64))
    (r,) = ladder.embedding.run("embedding1_atomic", ids, dy, vocabulary).reports
    assert r.total.atomics == 100 * 64 and r.total.atomic_requests == 100 * 2
    assert r.total.atomic_serial == r.total.atomic_requests  # lanes of a warp hit different places
    assert r.total.atomic_sectors == 100 * 8
    (r,) = ladder.embedding.run("embedding3_sorted", ids, dy, vocabulary).reports
    assert r.total.atomics == 0 and r.line("sum += dy").load_bytes == 2 * dy.nbytes  # and the order


def test_attention(rng: np.random.Generator) -> None:
    s, d = 128, 64
    q, k, v = (normal(rng, 1, s, d) for _ in range(3))
    (flash,) = reports(ladder.attention, flash_forward(q, k, v))
    assert flash.bytes_touched == 4 * s * d * 4 + 4 * s
    unfused = ladder.attention.run("attention1_unfused", q, k, v).reports
    scores = sum(t.loaded + t.stored for r in unfused for t in r.traffic if t.name == "P")
    assert scores == 4 * s * s * 4


@pytest.mark.slow
def test_attention_of_the_book(rng: np.random.Generator) -> None:
    """The figures that the chapter cites: 512 positions."""
    q, k, v = (normal(rng, 1, 512, 64) for _ in range(3))
    (flash,) = reports(ladder.attention, flash_forward(q, k, v))
    assert flash.bytes_touched == 526_336


def test_matvec(rng: np.random.Generator) -> None:
    n = 256
    w, x = ladder.matvec.sample(rng, (n, n))
    (r,) = ladder.matvec.run("matvec1_float32", w, x).reports
    assert r.bytes_touched == 4 * n * n + 8 * n
    assert r.total.flops == 2 * n * n + n * 5 * 32  # five rounds of shuffles, 32 lanes
    q, scale = ladder.quantise8(w)
    (r,) = ladder.matvec.run("matvec2_int8", q, x, scale).reports
    assert r.bytes_touched == n * n + 12 * n
    q, scale = ladder.quantise4(w)
    (r,) = ladder.matvec.run("matvec3_int4", q, x, scale).reports
    assert r.bytes_touched == n * n // 2 + 4 * n * n // 32 + 8 * n
    (packed,) = ladder.matvec.run("matvec4_repacked", q, x, scale).reports
    assert packed.bytes_touched == r.bytes_touched
    assert packed.total.sectors_per_load < 3 < 20 < r.total.sectors_per_load


@pytest.mark.slow
def test_matvec_of_the_book(rng: np.random.Generator) -> None:
    """4.20, 1.06 and twice 0.66 MB; 0.54, 2.13, 3.80 and 4.99 FLOP a byte."""
    w, x = ladder.matvec.sample(rng, (1024, 1024))
    q8, q4 = ladder.quantise8(w), ladder.quantise4(w)
    runs = [("matvec1_float32", (w, x)), ("matvec2_int8", (q8[0], x, q8[1])),
            ("matvec3_int4", (q4[0], x, q4[1])), ("matvec4_repacked", (q4[0], x, q4[1]))]  # fmt: skip
    found = [ladder.matvec.run(name, *given).reports[0] for name, given in runs]
    assert [round(r.bytes_touched / 1e6, 2) for r in found] == [4.20, 1.06, 0.66, 0.66]
    assert [round(r.intensity, 2) for r in found] == [0.54, 2.13, 3.80, 4.99]


def run(body: str, block: int = 32, **arrays: np.ndarray) -> gpu.Report:
    source = f"""extern "C" __global__ void k(float* out, const float* x) {{
  int t = threadIdx.x;
  __shared__ float s[2048];
  __shared__ float4 s4[64];
  for (int i = t; i < 2048; i += blockDim.x) s[i] = 0.0f;
  if (t < 64) s4[t % 64] = make_float4(0, 0, 0, 0);
  if (t < 32) s4[t + 32] = make_float4(0, 0, 0, 0);
  __syncthreads();
  {body} // here
}}"""
    out, x = np.zeros(4096, np.float32), np.ones(4096, np.float32)
    return gpu.Kernel(source, "k").simulate(1, block, (out, x))


BANKS = [  # index, wavefronts of one warp, the least
    ("s[t]", 1, 1), ("s[2 * t]", 2, 1), ("s[4 * t]", 4, 1), ("s[32 * t]", 32, 1), ("s[33 * t]", 1, 1),
    ("s[0]", 1, 1), ("s[t / 2]", 1, 1), ("s[t % 2 * 32]", 2, 1), ("s[31 - t]", 1, 1), ("s[t ^ 5]", 1, 1),
    ("s[3 * t + 7]", 1, 1), ("s[t * t % 64 * 8]", 8, 1),
    ("s4[t].x", 4, 1), ("s4[t]", 4, 4), ("s4[0]", 2, 2), ("s4[t / 2]", 2, 2), ("s4[t / 4 % 2]", 2, 2),
    ("((float2*)s)[t]", 2, 2), ("((float2*)s)[t / 2]", 1, 1), ("((float2*)s)[0]", 1, 1),
    ("((float2*)s)[2 * t]", 4, 2), ("((unsigned char*)s)[t]", 1, 1),
]  # fmt: skip


@pytest.mark.parametrize(("place", "waves", "least"), BANKS, ids=[b[0] for b in BANKS])
def test_banks(place: str, waves: int, least: int) -> None:
    kind = (
        "float4"
        if place[:2] == "s4" and place[-1] == "]"
        else "float2"
        if "float2" in place
        else "float"
    )
    r = run(f"{kind} v = {place};").line("// here")
    assert (r.shared_load_wavefronts, r.shared_load_ideal) == (waves, least)


def test_masked_lanes_move_nothing() -> None:
    r = run("if (t % 8 == 0) out[t] = x[64 * t] + s[32 * t];").line("// here")
    assert (r.load_sectors, r.store_sectors, r.load_bytes) == (4, 4, 16)
    assert (r.shared_load_wavefronts, r.divergent, r.flops) == (4, 1, 4)
    r = run("if (t >= 32) out[t] = x[t];", block=64).line("// here")
    assert (r.load_requests, r.load_sectors, r.divergent) == (1, 4, 0)


def test_the_place_of_a_view_counts() -> None:
    """A view that starts in the middle of a sector costs one more, as its address does on a GPU."""
    source = 'extern "C" __global__ void k(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }'
    k, x, y = gpu.Kernel(source, "k"), np.zeros(100, np.float32), np.zeros(32, np.float32)
    assert k.simulate(1, 32, (x, y)).total.load_sectors == 4
    assert k.simulate(1, 32, (x[1:], y)).total.load_sectors == 5
    vector = gpu.Kernel("__global__ void k(const float4* x, float* y) { y[0] = x[0].x; }", "k")
    with pytest.raises(gpu.LaunchError, match="x starts 4 bytes into its allocation"):
        vector.simulate(1, 1, (x[1:97], y))
