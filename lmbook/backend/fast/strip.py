"""Strips: a row of vectors that stay in registers, for loops with one number for all of them.

Where a tile (see `tile`) multiplies rows with columns, a strip has one row: each number read is used
once, so the loop is bound by what the first cache delivers.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

from lmbook.backend.fast.tile import BYTES, _Code, _vector

VECTORS = 8
"""Enough additions under way at once to hide how long each takes."""
TAPS = 5
"""Sums of products kept at once by `add_dots`."""


class Strip(types.Type):
    """VECTORS vectors of numbers of one type."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(f"Strip({dtype})")


@register_model(Strip)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, strip: Strip) -> None:
        super().__init__(manager, strip, ir.ArrayType(_vector(strip.dtype), VECTORS))


def span(dtype: Any) -> int:
    """How many numbers a strip holds."""
    return VECTORS * BYTES // dtype.itemsize


@intrinsic
def empty_strip(context, like):  # type: ignore[no-untyped-def]
    """A strip of zeros, of the type of the array `like`."""
    strip = Strip(like.dtype)

    def write(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return ir.Constant(context.get_value_type(strip), None)

    return strip(like), write


@intrinsic
def add_scaled(context, strip, number, x, j):  # type: ignore[no-untyped-def]
    """strip += number * x[j:]."""

    def write(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        strip, number, x, j = arguments
        code = _Code(context, builder, _vector(signature.args[0].dtype))
        x, number = code.address(signature.args[2], x, j), code.repeat(number)
        for v in range(VECTORS):
            vector = code.load(code.after(x, v * code.vector.count))
            strip = code.add_product(strip, v, number, vector)
        return strip

    return strip(strip, x.dtype, x, types.int64), write


@intrinsic
def put_strip(context, strip, y, i):  # type: ignore[no-untyped-def]
    """y[i:] = strip."""

    def write(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        strip, y, i = arguments
        code = _Code(context, builder, _vector(signature.args[0].dtype))
        y = code.address(signature.args[1], y, i)
        for v in range(VECTORS):
            code.store(builder.extract_value(strip, v), code.after(y, v * code.vector.count))
        return context.get_dummy_value()

    return types.void(strip, y, types.int64), write


@intrinsic
def add_dots(context, strip, g, i, x, j, offsets, k):  # type: ignore[no-untyped-def]
    """Vector c of the strip += one vector of g[i:] times one of x[j + offsets[k + c]:], c < TAPS."""

    def write(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        strip, g, i, x, j, offsets, k = arguments
        code = _Code(context, builder, _vector(signature.args[0].dtype))
        offsets = code.address(signature.args[5], offsets, k)
        x = code.address(signature.args[3], x, j)
        vector = code.load(code.address(signature.args[1], g, i))
        for c in range(TAPS):
            shift = builder.load(code.after(offsets, c))
            strip = code.add_product(strip, c, vector, code.load(code.after(x, shift)))
        return strip

    return strip(strip, g, types.int64, x, types.int64, offsets, types.int64), write


@intrinsic
def add_dot_sums(context, strip, y, i):  # type: ignore[no-untyped-def]
    """y[i + c] += the sum of vector c's lanes, c < TAPS."""

    def write(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        strip, y, i = arguments
        code = _Code(context, builder, _vector(signature.args[0].dtype))
        zero = ir.Constant(code.vector.element, -0.0)
        y = code.address(signature.args[1], y, i)
        for c in range(TAPS):
            vector = builder.extract_value(strip, c)
            total = code.call("vector.reduce.fadd", code.vector.element, zero, vector)
            at = code.after(y, c)
            builder.store(builder.fadd(builder.load(at), total), at)
        return context.get_dummy_value()

    return types.void(strip, y, types.int64), write
