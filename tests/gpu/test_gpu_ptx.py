"""The instructions that NVIDIA's compiler made give the same results, and the same counters.

The simulator reads the source, the PTX runner what the compiler made of it; both count by the same rules of
the memory system, but find addresses, masks and requests on their own.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from agreement import EXCEPTIONS, SAME, plans, typed

from lmbook import gpu
from lmbook.gpu import nvrtc, ptx
from lmbook.gpu.ptx.arithmetic import compute
from lmbook.gpu.simulator.launch import triple

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not nvrtc.available() and not os.environ.get("CI"),
        reason='no NVRTC here: pip install "lmbook[nvrtc]"',
    ),
]
PLANS = plans(1)


def both(kernel: gpu.Kernel, launch: Any, arch: str) -> tuple[gpu.Report, gpu.Report, Any, Any]:
    """Reports and arrays of the simulator and of the PTX runner."""
    mine: dict[int, np.ndarray] = {}
    theirs: dict[int, np.ndarray] = {}
    a = kernel.simulate(
        launch.grid, launch.block, typed(kernel, launch, mine), shared_mem=launch.shared_mem
    )
    b = ptx.run(
        kernel.compile(arch).ptx, launch.kernel, triple(launch.grid, ""), triple(launch.block, ""),
        typed(kernel, launch, theirs), launch.shared_mem, kernel.source,
    )  # fmt: skip
    return a, b, mine, theirs


@pytest.mark.parametrize("case", PLANS)
def test_compiled_code_agrees(case: str) -> None:
    rung, plan = PLANS[case]
    for launch in plan.launches:
        kernel = rung.kernel(launch.kernel)
        a, b, mine, theirs = both(kernel, launch, "sm_80")
        for k in mine:
            np.testing.assert_allclose(mine[k], theirs[k], rtol=1e-4, atol=1e-5)
        exempt, _ = EXCEPTIONS.get(launch.kernel, (set(), ""))
        differ = {
            name: (getattr(a.total, name), getattr(b.total, name))
            for name in SAME
            if name not in exempt and getattr(a.total, name) != getattr(b.total, name)
        }
        assert not differ, f"{launch.kernel}: (simulator, PTX) {differ}"
        assert a.bytes_touched == b.bytes_touched
        for array in plan.outputs:  # the next launch of the plan goes on from here
            if id(array) in mine:
                array[...] = mine[id(array)].reshape(array.shape)


@pytest.mark.parametrize("arch", ["sm_75", "sm_90"])
@pytest.mark.parametrize("case", ["transpose4_swizzled", "softmax3_online", "matmul5_vectorised"])
def test_other_architectures_agree(case: str, arch: str) -> None:
    rung, plan = PLANS[case]
    a, b, mine, theirs = both(rung.kernel(plan.launches[0].kernel), plan.launches[0], arch)
    for k in mine:
        np.testing.assert_allclose(mine[k], theirs[k], rtol=1e-4, atol=1e-5)
    assert all(getattr(a.total, name) == getattr(b.total, name) for name in SAME)


def test_divergence_meets_again() -> None:
    """Lanes that go different ways, one of them into a loop, come together and count alike."""
    source = """extern "C" __global__ void k(const int* a, int* out) {
  int i = threadIdx.x, s = 0;
  if (a[i] % 3 == 0) { for (int j = 0; j < a[i] % 7; ++j) s += atomicAdd(&out[64 + j], 1) * 0 + j; }
  else if (a[i] % 3 == 1) s = -a[i];
  else return;
  out[i] = s;
}"""
    kernel = gpu.Kernel(source, "k")
    a = np.random.default_rng(0).integers(0, 100, 64).astype(np.int32)
    results = []
    for _ in range(2):
        results.append(np.full(72, -1, np.int32))
    one = kernel.simulate(1, 64, (a, results[0]))
    two = ptx.run(kernel.compile("sm_80").ptx, "k", (1, 1, 1), (64, 1, 1), [a, results[1]])
    assert (results[0] == results[1]).all()
    assert one.total.atomics == two.total.atomics and one.total.store_bytes == two.total.store_bytes


def test_bit_fields_are_inserted() -> None:
    """The compiler writes (a & ~31 | k) * 64 as one `bfi`, and the addresses must come out right."""
    source = """extern "C" __global__ void k(const int* a, int* out) {
  int i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x % 32;
  for (int c = 0; c < 4; ++c) out[i * 4 + c] = a[(i - lane + c) * 8 + lane % 8];
}"""
    kernel = gpu.Kernel(source, "k")
    a = np.arange(64 * 8, dtype=np.int32)
    one, two = np.zeros((2, 256), np.int32)
    kernel.simulate(2, 32, (a, one))
    ptx.run(kernel.compile("sm_80").ptx, "k", (2, 1, 1), (32, 1, 1), [a, two])
    assert (one == two).all()
    for base, field, at, count, wanted in (
        (0xFFFFFFFF, 0, 8, 4, 0xFFFFF0FF), (0x12345678, 0xAB, 0, 8, 0x123456AB),
        (7, 0xFFFF, 28, 16, 0xF0000007), (7, 1, 32, 4, 7), (7, 1, 0, 0, 7), (7, 5, 0, 32, 5),
    ):  # fmt: skip
        given = [np.array([x], np.uint32) for x in (field, base, at, count)]
        assert compute(("bfi", "b32"), given)[0] == wanted


def test_faults_of_compiled_code() -> None:
    source = 'extern "C" __global__ void k(float* x) {\n  x[threadIdx.x + 1] = 1.0f;\n}'
    compiled = gpu.Kernel(source, "k").compile("sm_80").ptx
    with pytest.raises(
        gpu.OutOfBounds, match=r"k, line 2: st.global.u32 outside every array"
    ) as caught:
        ptx.run(compiled, "k", (1, 1, 1), (32, 1, 1), [np.zeros(32, np.float32)], source=source)
    assert caught.value.thread == (31, 0, 0)
    with pytest.raises(ValueError, match=r"no kernel j; it has k"):
        ptx.run(compiled, "j", (1, 1, 1), (32, 1, 1), [])
