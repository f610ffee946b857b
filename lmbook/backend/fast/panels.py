"""A product with one matrix many times over: packed once into panels that the processor likes.

A recurrent layer multiplies the same weights with a few columns at every step. A BLAS rearranges the
weights anew at each call; here it is done once. A panel holds ROWS rows of the matrix side by side,
so that one vector of the other factor meets ROWS numbers that follow one another in memory, and
ROWS vectors of results stay in registers until the panel's end.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from lmbook.backend.fast.compile import jit
from lmbook.backend.fast.tile import BYTES

ROWS = 8


def fits(rows: int, columns: int, dtype: np.dtype) -> bool:
    """Whether a product of `rows` rows and `columns` columns is made of whole panels and vectors."""
    return rows % ROWS == 0 and columns % (BYTES // dtype.itemsize) == 0 and rows * columns > 0


def pack(weight: np.ndarray) -> np.ndarray:
    """(rows, inner) as panels (rows / ROWS, inner, ROWS)."""
    rows, inner = weight.shape
    return np.ascontiguousarray(weight.reshape(rows // ROWS, ROWS, inner).swapaxes(1, 2))


def _add_panel(_context, panel, inner, x, across, c, stride):  # type: ignore[no-untyped-def]
    """c[r * stride:] += sum over k of panel[k, r] * x[k * across:], one vector of each."""
    number = panel.dtype

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        panel, inner, x, across, c, stride = values
        kind = context.get_value_type(number)
        vector = ir.VectorType(kind, BYTES // (number.bitwidth // 8))
        panel = context.make_array(signature.args[0])(context, builder, panel).data
        x, c = (builder.inttoptr(p, kind.as_pointer()) for p in (x, c))
        i32, none = ir.IntType(32), ir.Constant(vector, ir.Undefined)
        first = ir.Constant(ir.VectorType(i32, vector.count), None)
        multiply_add = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(vector, [vector] * 3),
            f"llvm.fmuladd.v{vector.count}f{number.bitwidth}",
        )

        def wide(pointer: Any) -> Any:
            return builder.bitcast(pointer, vector.as_pointer())

        places, sums = [], []
        for r in range(ROWS):
            places.append(wide(builder.gep(c, [builder.mul(stride, stride.type(r))])))
            sums.append(
                cgutils.alloca_once_value(
                    builder, builder.load(places[r], align=number.bitwidth // 8)
                )
            )
        with cgutils.for_range(builder, inner) as loop:
            column = builder.load(
                wide(builder.gep(x, [builder.mul(loop.index, across)])), align=number.bitwidth // 8
            )
            numbers = builder.gep(panel, [builder.mul(loop.index, loop.index.type(ROWS))])
            for r in range(ROWS):
                one = builder.load(builder.gep(numbers, [i32(r)]))
                many = builder.insert_element(none, one, i32(0))
                many = builder.shuffle_vector(many, none, first)
                total = builder.call(multiply_add, [many, column, builder.load(sums[r])])
                builder.store(total, sums[r])
        for r in range(ROWS):
            builder.store(builder.load(sums[r]), places[r], align=number.bitwidth // 8)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(panel, i64, i64, i64, i64, i64), codegen


add_panel: Any = intrinsic(_add_panel)


@jit
def add_product(panels, x, c):  # type: ignore[no-untyped-def]
    """c += W x for W packed into panels, x (inner, columns) and c (rows, columns) contiguous."""
    inner, columns, size = x.shape[0], x.shape[1], x.itemsize
    lanes = BYTES // size
    for p in range(panels.shape[0]):
        for n in range(0, columns, lanes):
            add_panel(
                panels[p], inner, x.ctypes.data + n * size, columns,
                c.ctypes.data + (p * ROWS * columns + n) * size, columns,
            )  # fmt: skip
