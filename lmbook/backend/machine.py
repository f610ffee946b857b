"""Settings of the machine that speed wants: how BLAS uses threads, and how freed memory is kept."""

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lmbook.backend.errors import MissingDependency

_NAMES = (  # how builds of OpenBLAS and MKL call (get, set): with NumPy's prefix, 64-bit, plain
    ("scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"),
    ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
    ("openblas_get_num_threads64_", "openblas_set_num_threads64_"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
)


def libraries() -> Iterator[Any]:
    """NumPy's extension, through which its BLAS is found, then the libraries beside NumPy."""
    package = Path(np.__file__).parent
    extensions = package.glob("_core/_multiarray_umath*")
    beside = [
        *package.parent.glob("numpy.libs/*openblas*"),
        *package.glob(".dylibs/*openblas*"),
    ]
    for path in [*extensions, *beside]:
        with suppress(OSError):
            yield ctypes.CDLL(str(path))


@cache
def _blas() -> tuple[Callable[[], int], Callable[[int], Any]] | None:
    """Functions that tell and set the number of threads of NumPy's BLAS."""
    for library in libraries():
        for get, put in _NAMES:
            if hasattr(library, put) and hasattr(library, get):
                return getattr(library, get), getattr(library, put)
    return None


@contextmanager
def blas_threads(n: int) -> Iterator[None]:
    """Let NumPy's BLAS use `n` threads inside the block.

    Raises `MissingDependency` where the BLAS is not one that can be told and threadpoolctl, which
    knows more of them, is not installed.
    """
    found = _blas()
    if found is None:
        try:
            from threadpoolctl import threadpool_limits
        except ImportError:
            raise MissingDependency(
                "blas_threads: NumPy's BLAS here is neither OpenBLAS nor MKL: pip install threadpoolctl, "
                "or train with threads=1"
            ) from None
        with threadpool_limits(n, user_api="blas"):
            yield
        return
    get, put = found
    before = get()
    put(n)
    try:
        yield
    finally:
        put(before)


@contextmanager
def quick_switching() -> Iterator[None]:
    """Let threads that wait for the interpreter have it after 0.01 ms in place of 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h


@cache
def keep_freed_memory() -> bool:
    """Ask the C library to keep freed memory for the next request; whether it could be asked.

    Every step of training frees as much as it takes. By default glibc gives large blocks back to
    the system, which then clears each page anew at its first touch. Elsewhere this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    largest = 2**30
    return bool(mallopt(_MMAP_THRESHOLD, largest) and mallopt(_TRIM_THRESHOLD, 2 * largest - 1))
