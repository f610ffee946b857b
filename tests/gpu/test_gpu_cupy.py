"""The way to a GPU, through a stand-in for CuPy that checks types, layout and launches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cupy_stand_in
import numpy as np
import pytest
from agreement import inputs

from lmbook import gpu
from lmbook.backend import DTypeError, MissingDependency, ShapeError
from lmbook.gpu.kernels import LADDER, Rung, matmul

SOURCE = """extern "C" __global__ void axpy(const float* x, float* y, float a, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] += a * x[i];
}"""
VERSIONS = [(rung, name) for rung in LADDER for name in rung.versions]


@pytest.fixture
def cupy() -> Iterator[Any]:
    with cupy_stand_in.installed() as module:
        yield module


def on_gpu(cupy: Any, values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(cupy.array(v) if isinstance(v, np.ndarray) else v for v in values)


@pytest.mark.parametrize(("rung", "name"), VERSIONS, ids=[n for _, n in VERSIONS])
def test_every_version_runs_on_gpu_arrays(
    cupy: Any, rung: Rung, name: str, rng: np.random.Generator
) -> None:
    given = inputs(rung, name, rung.sizes[0 if rung.name == "attention" else 1], rng)
    outcome = rung.run(name, *on_gpu(cupy, given))
    assert all(type(o).__module__ == "cupy" for o in outcome.outputs)
    assert all(r is None for r in outcome.reports)  # nothing is counted on a GPU
    assert rung.agrees([o.get() for o in outcome.outputs], *given)


def test_numbers_are_cast_by_the_signature(cupy: Any) -> None:
    k = gpu.Kernel(SOURCE, "axpy")
    x, y = cupy.array(np.arange(10, dtype=np.float32)), cupy.zeros(10, np.float32)
    for a in (2, 2.0, np.float64(2), np.int64(2), True + 1):
        assert k(1, 32, (x, y, a, 10)) is None
    assert (y.get() == 10 * np.arange(10)).all()
    assert k._raw.calls == 5  # compiled once


def test_the_stand_in_would_notice(cupy: Any) -> None:
    """Without the casts a Python number would reach the GPU as 64 bits."""
    k = gpu.Kernel(SOURCE, "axpy")
    x, y = cupy.zeros(10, np.float32), cupy.zeros(10, np.float32)
    good = (x, y, np.float32(1), np.int32(10))
    k._raw((1, 1, 1), (32, 1, 1), good)
    for wrong, message in [
        ((x, y, 1.0, np.int32(10)), "a Python number"),
        ((x, y, np.float32(1), np.int64(10)), "int64 in place of int32"),
        ((x, np.zeros(10, np.float32), np.float32(1), np.int32(10)), "not on the GPU"),
    ]:
        with pytest.raises(AssertionError, match=message):
            k._raw((1, 1, 1), (32, 1, 1), wrong)
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(x)


def test_arguments_on_a_gpu_are_checked_alike(cupy: Any) -> None:
    k = gpu.Kernel(SOURCE, "axpy")
    x, y = cupy.zeros(10, np.float32), cupy.zeros(10, np.float32)
    with pytest.raises(DTypeError, match="must be float32, not float64"):
        k(1, 32, (cupy.zeros(10), y, 1, 10))
    with pytest.raises(ShapeError, match="not contiguous"):
        k(1, 32, (x, y[::2], 1, 5))
    with pytest.raises(TypeError, match="y must be a cupy array, not ndarray"):
        k(1, 32, (x, np.zeros(10, np.float32), 1, 10))
    with pytest.raises(gpu.LaunchError, match="1056 threads"):
        k(1, (32, 33), (x, y, 1, 10))
    with pytest.raises(TypeError, match="x must be a numpy array, not ndarray"):
        k.simulate(1, 32, (x, y, 1, 10))


def test_templates_go_through_a_module(cupy: Any) -> None:
    source = "template <int N> __global__ void k(int* x) { x[threadIdx.x] = N * threadIdx.x; }"
    x = cupy.zeros(8, np.int32)
    gpu.Kernel(source, "k<3>")(1, 8, (x,))
    assert (x.get() == 3 * np.arange(8)).all()


def test_time_runs_on_a_gpu_only(cupy: Any) -> None:
    k = gpu.Kernel(SOURCE, "axpy")
    args = (cupy.zeros(10, np.float32), cupy.zeros(10, np.float32), 1, 10)
    assert k.time(1, 32, args, repeat=3) > 0 and k._raw.calls == 5  # two to warm up
    with (
        cupy_stand_in.installed(has_gpu=False),
        pytest.raises(gpu.LaunchError, match="finds no GPU"),
    ):
        k.time(1, 32, args)


def test_without_cupy_arrays_cannot_come_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with cupy_stand_in.installed() as module:
        x = module.zeros((4, 4), np.float32)
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    with pytest.raises(MissingDependency, match=r'pip install "lmbook\[gpu\]"'):
        matmul.kernel("matmul1_naive")(1, 1, (x, x, x, 4, 4, 4))
