"""Matrix products inside compiled loops: NumPy's own OpenBLAS, called without the interpreter.

numba's `np.dot` would bring SciPy's BLAS and so a second pool of threads that fights the first. Here
a kernel is handed the address of NumPy's own function and calls it. `gemm(blas, alpha, a, b, beta, c)`
is c <- alpha a b + beta c for matrices whose rows or columns lie densely in memory; `call` is the same
for addresses, so that one compiled kernel serves arrays of every layout.
"""

import ctypes
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from lmbook.backend.fast.compile import jit
from lmbook.backend.machine import libraries

_NAMES = {"f": "scipy_cblas_sgemm64_", "d": "scipy_cblas_dgemm64_"}


@cache
def addresses() -> tuple[int, int] | None:
    """Where NumPy's products of float32 and float64 stand; None for a NumPy with another BLAS."""
    for library in libraries():
        try:
            single, double = (getattr(library, _NAMES[c]) for c in "fd")
        except AttributeError:
            continue
        return tuple(ctypes.cast(f, ctypes.c_void_p).value for f in (single, double))  # type: ignore[return-value]
    return None


def address(*arrays: np.ndarray) -> int | None:
    """The function for arrays of this one type; None where there is none to call."""
    found, dtype = addresses(), arrays[0].dtype
    if found is None or dtype.char not in "fd" or any(x.dtype != dtype for x in arrays):
        return None
    return found[dtype.char == "d"]


def _call(_context, function, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):  # type: ignore[no-untyped-def]
    """cblas_?gemm of row-major matrices at the addresses a, b, c."""
    integer, real = types.int64, alpha
    signature = types.void(
        integer, integer, integer, integer, integer, integer, real, integer, integer, integer,
        integer, real, integer, integer,
    )  # fmt: skip

    def codegen(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        i32, i64 = ir.IntType(32), ir.IntType(64)
        number = context.get_value_type(real)
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(
            ir.VoidType(),
            [
                i32,
                i32,
                i32,
                i64,
                i64,
                i64,
                number,
                pointer,
                i64,
                pointer,
                i64,
                number,
                pointer,
                i64,
            ],
        )
        function, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc = values
        callee = builder.inttoptr(function, kind.as_pointer())
        row_major = ir.Constant(i32, 101)
        ta, tb = builder.trunc(ta, i32), builder.trunc(tb, i32)
        a, b, c = (builder.inttoptr(x, pointer) for x in (a, b, c))
        builder.call(callee, [row_major, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc])
        return context.get_dummy_value()

    return signature, codegen


call: Any = intrinsic(_call)
PLAIN, TURNED = 111, 112  # CblasNoTrans, CblasTrans


def order(x: np.ndarray) -> tuple[int, int] | None:
    """How BLAS shall read a matrix, and its leading dimension; None if neither axis is dense."""
    (down, right), (rows, columns), size = x.strides, x.shape, x.itemsize
    if (right == size or columns == 1) and down >= columns * size and down % size == 0:
        return PLAIN, down // size
    if (down == size or rows == 1) and right >= rows * size and right % size == 0:
        return TURNED, right // size
    return None


@jit
def gemm(blas, alpha, a, b, beta, c):  # type: ignore[no-untyped-def]
    """c <- alpha a b + beta c; the rows of c lie densely, those of a and b or else their columns."""
    size = a.itemsize
    m, k = a.shape
    n = b.shape[1]
    ta, lda, tb, ldb = PLAIN, max(a.strides[0] // size, k), PLAIN, max(b.strides[0] // size, n)
    if a.strides[1] != size and k > 1:
        ta, lda = TURNED, max(a.strides[1] // size, m)
    if b.strides[1] != size and n > 1:
        tb, ldb = TURNED, max(b.strides[1] // size, k)
    call(
        blas, ta, tb, m, n, k, a.dtype.type(alpha), a.ctypes.data, lda, b.ctypes.data, ldb,
        a.dtype.type(beta), c.ctypes.data, max(c.strides[0] // size, n),
    )  # fmt: skip
