"""g++ reads the same source and gives the same results, with threads that truly run one after the other."""

from __future__ import annotations

import os
from pathlib import Path

import host_build
import numpy as np
import pytest
from agreement import plans, typed

from lmbook import gpu
from lmbook.gpu.kernels import LADDER

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not host_build.available() and not os.environ.get("CI"), reason="needs g++"),
]
PLANS = plans(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("host")


@pytest.mark.parametrize("case", PLANS)
def test_the_host_build_agrees(case: str, folder: Path) -> None:
    rung, plan = PLANS[case]
    library = host_build.library(rung.source, tuple(rung.kernels), folder)
    mine: dict[int, np.ndarray] = {}
    theirs: dict[int, np.ndarray] = {}
    for launch in plan.launches:  # each goes on from its own results
        kernel = rung.kernel(launch.kernel)
        args = typed(kernel, launch, mine)
        kernel.simulate(launch.grid, launch.block, args, shared_mem=launch.shared_mem)
        args = typed(kernel, launch, theirs)
        host_build.run(library, kernel, launch.grid, launch.block, args, launch.shared_mem)
    for k in mine:
        np.testing.assert_allclose(mine[k], theirs[k], rtol=1e-4, atol=1e-5)


def test_all_sources_are_covered() -> None:
    used = {launch.kernel for _, plan in PLANS.values() for launch in plan.launches}
    assert used == {k for rung in LADDER for k in rung.kernels}


def test_threads_that_wait_for_ever_are_noticed(tmp_path: Path) -> None:
    source = """extern "C" __global__ void k(float* x) {
  if (threadIdx.x < 3) __syncthreads();
  else __syncwarp(0x0000000f);
  x[threadIdx.x] = 1.0f;
}"""
    library = host_build.library(source, ("k",), tmp_path)
    with pytest.raises(RuntimeError, match="wait for each other"):
        host_build.run(library, gpu.Kernel(source, "k"), 1, 4, [np.zeros(4, np.float32)])
