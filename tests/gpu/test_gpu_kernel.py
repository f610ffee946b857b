"""Calls: argument checks, casts, launch limits, occupancy and roofline."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook import gpu
from lmbook.backend import DTypeError, ShapeError

SOURCE = """extern "C" __global__ void axpy(const float* x, float* y, float a, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] += a * x[i];
}"""


@pytest.fixture
def kernel() -> gpu.Kernel:
    return gpu.Kernel(SOURCE, "axpy")


def arrays(n: int = 100) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(n, dtype=np.float32), np.ones(n, np.float32)


def test_the_same_call_runs_in_place(kernel: gpu.Kernel) -> None:
    x, y = arrays()
    report = kernel(4, 32, (x, y, 2, 100))  # 2 becomes a float, as the signature says
    assert (y == 1 + 2 * np.arange(100)).all()
    assert report is kernel.last and report.total.flops == 200
    assert [(n, str(t)) for n, t in kernel.parameters] == [
        ("x", "const float*"), ("y", "float*"), ("a", "float"), ("n", "int"),
    ]  # fmt: skip


def test_arguments_are_checked_against_the_signature(kernel: gpu.Kernel) -> None:
    x, y = arrays()
    with pytest.raises(TypeError, match=r"axpy\(const float\* x, .*takes 4 arguments, not 3"):
        kernel(4, 32, (x, y, 2))
    with pytest.raises(DTypeError, match=r"x is const float.*must be float32, not float64"):
        kernel(4, 32, (x.astype(float), y, 2, 100))
    with pytest.raises(ShapeError, match=r"y of shape .50,. is not contiguous"):
        kernel(4, 32, (x, y[::2], 2, 50))
    with pytest.raises(TypeError, match=r"n is int, so 2.5 would lose"):
        kernel(4, 32, (x, y, 2, 2.5))
    with pytest.raises(OverflowError, match="cannot hold"):
        kernel(4, 32, (x, y, 2, 2**31))
    with pytest.raises(TypeError, match="pass one number, not list"):
        kernel(4, 32, (x, y, [2], 100))
    with pytest.raises(TypeError, match="x must be a numpy array, not list"):
        kernel(4, 32, ([1.0], y, 2, 100))
    y.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        kernel(4, 32, (x, y, 2, 100))
    vector = gpu.Kernel("__global__ void k(float4* x) { x[0].x = 1.0f; }", "k")
    with pytest.raises(ShapeError, match="has 6 numbers, no multiple of 4"):
        vector(1, 1, (np.zeros(6, np.float32),))


def test_launches_that_no_gpu_takes(kernel: gpu.Kernel) -> None:
    x, y = arrays()
    args = (x, y, 2, 100)
    for grid, block, message in [
        (1, 1025, "block .* has 1025 threads"), (1, (1, 1, 65), "the most"), ((1, 70000), 32, "grid"),
        (0, 32, "from 1"), ((1, 1, 1, 1), 32, "one to three"), (1, (2.5,), "whole"),
    ]:  # fmt: skip
        with pytest.raises(gpu.LaunchError, match=message):
            kernel(grid, block, args)
    with pytest.raises(gpu.LaunchError, match="declares no extern __shared__"):
        kernel(4, 32, args, shared_mem=16)
    large = gpu.Kernel("__global__ void k() { __shared__ float s[13000]; s[0] = 1.0f; }", "k")
    with pytest.raises(
        gpu.LaunchError, match=r"52000 . 0 bytes of shared memory; a block has 49152"
    ):
        large(1, 1, ())
    bounded = gpu.Kernel("__global__ void __launch_bounds__(64) k() {}", "k")
    bounded(1, 64, ())
    with pytest.raises(gpu.LaunchError, match="__launch_bounds__ promises at most 64"):
        bounded(1, 96, ())


def test_no_time_is_told_without_a_gpu(kernel: gpu.Kernel) -> None:
    with pytest.raises(gpu.LaunchError, match="counts work, not time"):
        kernel.time(4, 32, (*arrays(), 2, 100))


def test_report_reads_as_a_table(kernel: gpu.Kernel) -> None:
    kernel(4, 32, (*arrays(), 2, 100))
    report = kernel.last
    assert report is not None
    assert "global loads  8 requests, 3.25 sectors each, 96.2% of bytes used" in str(report)
    listing = report.listing().split("\n")
    assert len(listing) == 1 + len(SOURCE.split("\n"))
    assert listing[3].split()[:4] == ["28", "3.25", "3.25", "1"]
    assert report.line("y[i] +=").divergent == 1
    with pytest.raises(KeyError, match="no line"):
        report.line("z[i]")


def test_roofline_is_a_bound(kernel: gpu.Kernel) -> None:
    with pytest.raises(gpu.LaunchError, match="simulate a launch first"):
        gpu.Kernel(SOURCE, "axpy").roofline("T4")
    n = 1 << 12
    kernel(n // 256, 256, (*arrays(n), 2, n))
    r = kernel.roofline("T4")
    assert r.intensity == 2 * n / (12 * n) and r.bound == "memory"
    assert r.seconds == pytest.approx(12 * n / 320e9)
    assert "cannot be faster than" in str(r)
    with pytest.raises(gpu.LaunchError, match="device 'T5' is unknown; there are A100"):
        kernel.roofline("T5")


OCCUPANCY = [  # device, threads, registers, shared: blocks, by what. By hand from the limits.
    ("T4", 256, 32, 0, 4, "threads"), ("T4", 256, 96, 0, 2, "registers"), ("T4", 32, 16, 0, 16, "blocks"),
    ("A100", 256, 32, 0, 8, "threads"), ("A100", 1024, 64, 0, 1, "registers"),
    ("A100", 256, 255, 0, 1, "registers"), ("A100", 128, 32, 48 << 10, 3, "shared memory"),
    ("A100", 32, 32, 0, 32, "blocks"), ("H100", 128, 32, 48 << 10, 4, "shared memory"),
    ("T4", 128, 32, 48 << 10, 1, "shared memory"), ("RTX 4090", 256, 40, 0, 6, "threads"),
    ("A100", 96, 40, 0, 16, "registers"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "threads", "registers", "shared", "blocks", "why"), OCCUPANCY)
def test_occupancy(
    name: str, threads: int, registers: int, shared: int, blocks: int, why: str
) -> None:
    o = gpu.occupancy(name, threads, registers, shared)
    assert (o.blocks, o.limited_by) == (blocks, why)
    assert o.warps == blocks * -(-threads // 32)
    assert o.fraction == o.warps / (gpu.device(name).limits.threads // 32)
    assert f"limited by {why}" in str(o)


def test_occupancy_refuses_what_cannot_be(kernel: gpu.Kernel) -> None:
    for threads, registers, shared, message in [
        (2000, 32, 0, "1 to 1024 threads"), (32, 300, 0, "up to 255"), (32, 32, 200_000, "shared memory"),
    ]:  # fmt: skip
        with pytest.raises(gpu.LaunchError, match=message):
            gpu.occupancy("T4", threads, registers, shared)
    assert kernel.occupancy("T4", 32, block=(16, 16)).blocks == 4


def test_devices_carry_their_sources() -> None:
    for d in gpu.devices().values():
        assert "Epoch AI" in d.source and "white paper" in d.source
        assert 5 < d.ridge < 100 and d.limits.threads in (1024, 1536, 2048)
