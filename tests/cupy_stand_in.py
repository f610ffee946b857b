"""A stand-in for the module cupy: kernels run in the simulator, and refused is what CuPy or a GPU refuses.

It shows that the path to a GPU passes what it should: C-contiguous arrays of exact types, NumPy scalars of
the exact types of the signature (CuPy turns a Python int into 64 bits and a float into a double), launches
within limits, tuples for grid and block. It knows nothing of times.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from cupy_array import ndarray

from lmbook.gpu.kernel import Kernel
from lmbook.gpu.nvrtc import PRELUDE
from lmbook.gpu.simulator.types import Pointer, Scalar, Vector


class RawKernel:
    """Compiled when first called; each call checks what the driver would."""

    def __init__(self, code: str, name: str, options: tuple[str, ...] = ()) -> None:
        assert isinstance(options, tuple) and "--std=c++17" in options
        assert code.startswith(PRELUDE), "INFINITY needs its guarded prelude"
        self.kernel = Kernel(code.removeprefix(PRELUDE), name)
        self.calls = 0

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], *, shared_mem: int = 0
    ) -> None:  # fmt: skip
        for size in (grid, block):
            assert type(size) is tuple and all(type(n) is int for n in size), size
        assert type(args) is tuple and len(args) == len(self.kernel.parameters)
        host = []
        for (name, t), a in zip(self.kernel.parameters, args):
            if isinstance(t, Pointer):
                assert type(a) is ndarray, f"{name} is not on the GPU"
                want = t.to.of.dtype if isinstance(t.to, Vector) else t.to.dtype
                assert a.dtype == want and a.flags.c_contiguous, name
                host.append(a._host)
            else:
                assert isinstance(t, Scalar) and isinstance(a, np.generic), (
                    f"{name}: a Python number"
                )
                assert a.dtype == t.dtype, f"{name}: {a.dtype} in place of {t.dtype}"
                host.append(a)
        self.calls += 1
        self.kernel.simulate(grid, block, host, shared_mem=shared_mem)


class RawModule:
    def __init__(self, code: str, options: tuple[str, ...], name_expressions: list[str]) -> None:
        self.code, self.options, self.names = code, options, name_expressions

    def get_function(self, name: str) -> RawKernel:
        assert name in self.names
        return RawKernel(self.code, name, self.options)


class _Device:
    def synchronize(self) -> None:
        pass


def module(has_gpu: bool = True) -> types.ModuleType:
    """A module object with the part of CuPy that the kernels use."""
    m = types.ModuleType("cupy")

    def array(a: Any, dtype: Any = None) -> ndarray:
        return ndarray(np.array(a._host if isinstance(a, ndarray) else a, dtype))

    def asarray(a: Any, dtype: Any = None) -> ndarray:
        same = isinstance(a, ndarray) and dtype in (None, a.dtype)
        return a if same else array(a, dtype)

    def ascontiguousarray(a: ndarray) -> ndarray:
        if not isinstance(a, ndarray):
            raise TypeError(f"Unsupported type {type(a)}")
        return a if a.flags.c_contiguous else ndarray(np.ascontiguousarray(a._host))

    def zeros(shape: Any, dtype: Any = float) -> ndarray:
        return ndarray(np.zeros(shape, dtype))

    m.ndarray, m.RawKernel, m.RawModule = ndarray, RawKernel, RawModule  # type: ignore[attr-defined]
    m.array, m.asarray = array, asarray  # type: ignore[attr-defined]
    m.ascontiguousarray = ascontiguousarray  # type: ignore[attr-defined]
    m.zeros = zeros  # type: ignore[attr-defined]
    m.zeros_like = lambda a: zeros(a.shape, a.dtype)  # type: ignore[attr-defined]
    m.arange = lambda n, dtype=None: ndarray(np.arange(n, dtype=dtype))  # type: ignore[attr-defined]
    m.argsort = lambda a, kind=None: ndarray(np.argsort(a._host, kind="stable"))  # type: ignore[attr-defined]
    m.searchsorted = lambda a, v: np.searchsorted(a, v)  # type: ignore[attr-defined]
    m.asnumpy = lambda a: a.get()  # type: ignore[attr-defined]
    m.is_available = lambda: has_gpu  # type: ignore[attr-defined]
    m.cuda = types.SimpleNamespace(Device=_Device)  # type: ignore[attr-defined]
    return m


@contextmanager
def installed(has_gpu: bool = True) -> Iterator[types.ModuleType]:
    """Put the stand-in where `import cupy` finds it."""
    before = sys.modules.get("cupy")
    sys.modules["cupy"] = module(has_gpu)
    try:
        yield sys.modules["cupy"]
    finally:
        if before is None:
            del sys.modules["cupy"]
        else:
            sys.modules["cupy"] = before
