"""Tiles: blocks of vectors that stay in registers through a loop, for numba's compiled code.

A tile has ROWS x COLUMNS vectors. A loop that needs `ROWS` numbers of one array and `COLUMNS`
vectors of another for ROWS x COLUMNS multiplications is bound by arithmetic, not by memory; but the
compiler finds no such loop by itself. So the few steps here are written in LLVM's language. They
check no bounds: arrays must have room for whole vectors.
"""

from typing import Any

from llvmlite import binding, ir
from numba import config, types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic, models, register_model

_OTHER = config.CPU_NAME or config.CPU_FEATURES  # type: ignore[attr-defined]
_HOST = "" if _OTHER else binding.get_host_cpu_features().flatten()
_FEATURES = set((config.CPU_FEATURES or _HOST).split(","))  # type: ignore[attr-defined]
_MANY = bool({"+avx512f", "+neon"} & _FEATURES)
"""Whether the machine has 32 vector registers; else it has 16."""
BYTES = 64 if "+avx512f" in _FEATURES else 32 if "+avx" in _FEATURES else 16
"""Size of a vector register."""
ROWS, COLUMNS = (8, 3) if _MANY else (4, 3)
DOT_ROWS, DOT_COLUMNS = (4, 6) if _MANY else (4, 3)

_INT, _SHORT = ir.IntType(64), ir.IntType(32)


class Tile(types.Type):
    """ROWS x COLUMNS vectors of numbers of one type."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(f"Tile({dtype})")


@register_model(Tile)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, tile: Tile) -> None:
        super().__init__(manager, tile, ir.ArrayType(_vector(tile.dtype), ROWS * COLUMNS))


def _vector(dtype: Any, lanes: int = 0) -> ir.VectorType:
    number = ir.FloatType() if dtype == types.float32 else ir.DoubleType()
    return ir.VectorType(number, lanes or BYTES // (dtype.bitwidth // 8))


class _Code:
    """Writes the instructions of one intrinsic."""

    def __init__(self, context: Any, builder: Any, vector: ir.VectorType) -> None:
        self.context, self.builder, self.vector = context, builder, vector
        self.suffix = f"v{vector.count}f{32 if vector.element == ir.FloatType() else 64}"

    def address(self, kind: Any, array: Any, index: Any) -> Any:
        data = self.context.make_array(kind)(self.context, self.builder, array).data
        return self.builder.gep(data, [index])

    def after(self, pointer: Any, index: Any) -> Any:
        index = ir.Constant(_INT, index) if isinstance(index, int) else index
        return self.builder.gep(pointer, [index])

    def load(self, pointer: Any) -> Any:
        wide = self.builder.bitcast(pointer, self.vector.as_pointer())
        return self.builder.load(wide, align=4)

    def store(self, value: Any, pointer: Any) -> None:
        self.builder.store(value, self.builder.bitcast(pointer, self.vector.as_pointer()), align=4)

    def repeat(self, number: Any) -> Any:
        """A vector of equal numbers."""
        none = ir.Constant(self.vector, ir.Undefined)
        one = self.builder.insert_element(none, number, ir.Constant(_SHORT, 0))
        zeros = ir.Constant(ir.VectorType(_SHORT, self.vector.count), None)
        return self.builder.shuffle_vector(one, none, zeros)

    def call(self, name: str, result: Any, *arguments: Any) -> Any:
        kind = ir.FunctionType(result, [a.type for a in arguments])
        function = get_or_insert_function(self.builder.module, kind, f"llvm.{name}.{self.suffix}")
        return self.builder.call(function, arguments, fastmath=("reassoc", "contract"))

    def add_product(self, tile: Any, i: int, a: Any, b: Any) -> Any:
        """tile[i] += a * b."""
        c = self.builder.extract_value(tile, i)
        return self.builder.insert_value(tile, self.call("fmuladd", self.vector, a, b, c), i)


@intrinsic
def zeros(context, like):  # type: ignore[no-untyped-def]
    """A tile of zeros, of the type of the array `like`."""
    tile = Tile(like.dtype)

    def write(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return ir.Constant(context.get_value_type(tile), None)

    return tile(like), write


@intrinsic
def add_outer(context, tile, a, i, x, j):  # type: ignore[no-untyped-def]
    """tile[r, c] += a[i + r] * (the c-th vector of x[j:]), the step of a product of matrices."""

    def write(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        tile, a, i, x, j = arguments
        code = _Code(context, builder, _vector(signature.args[0].dtype))
        a, x = code.address(signature.args[1], a, i), code.address(signature.args[3], x, j)
        vectors = [code.load(code.after(x, c * code.vector.count)) for c in range(COLUMNS)]
        for r in range(ROWS):
            number = code.repeat(builder.load(code.after(a, r)))
            for c in range(COLUMNS):
                tile = code.add_product(tile, r * COLUMNS + c, number, vectors[c])
        return tile

    return tile(tile, a, types.int64, x, types.int64), write


@intrinsic
def store(context, tile, y, i, stride):  # type: ignore[no-untyped-def]
    """y[i + r * stride:] = row r of the tile, COLUMNS vectors."""

    def write(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        tile, y, i, stride = arguments
        code = _Code(context, builder, _vector(signature.args[0].dtype))
        y = code.address(signature.args[1], y, i)
        for r in range(ROWS):
            for c in range(COLUMNS):
                vector = builder.extract_value(tile, r * COLUMNS + c)
                code.store(vector, code.after(y, c * code.vector.count))
            y = code.after(y, stride)
        return context.get_dummy_value()

    return types.void(tile, y, types.int64, types.int64), write


@intrinsic
def add_inner(context, tile, g, i, stride, x, j, offsets, k):  # type: ignore[no-untyped-def]
    """tile[r, c] += g[i + r * stride:] * x[j + offsets[k + c]:], one vector of each, lane by lane.

    r < DOT_ROWS, c < DOT_COLUMNS. The tile's `sums` are inner products in the end.
    """

    def write(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        tile, g, i, stride, x, j, offsets, k = arguments
        code = _Code(context, builder, _vector(signature.args[0].dtype))
        offsets = code.address(signature.args[6], offsets, k)
        x = code.address(signature.args[4], x, j)
        shifts = [builder.load(code.after(offsets, c)) for c in range(DOT_COLUMNS)]
        vectors = [code.load(code.after(x, shift)) for shift in shifts]
        g = code.address(signature.args[1], g, i)
        for r in range(DOT_ROWS):
            vector = code.load(g)
            for c in range(DOT_COLUMNS):
                tile = code.add_product(tile, r * DOT_COLUMNS + c, vector, vectors[c])
            g = code.after(g, stride)
        return tile

    i = types.int64
    return tile(tile, g, i, i, x, i, offsets, i), write


@intrinsic
def add_sums(context, tile, y, i, stride):  # type: ignore[no-untyped-def]
    """y[i + r * stride + c] += the sum of vector (r, c)'s lanes, r < DOT_ROWS, c < DOT_COLUMNS."""

    def write(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        tile, y, i, stride = arguments
        code = _Code(context, builder, _vector(signature.args[0].dtype))
        zero = ir.Constant(code.vector.element, -0.0)
        y = code.address(signature.args[1], y, i)
        for r in range(DOT_ROWS):
            for c in range(DOT_COLUMNS):
                vector = builder.extract_value(tile, r * DOT_COLUMNS + c)
                total = code.call("vector.reduce.fadd", code.vector.element, zero, vector)
                at = code.after(y, c)
                builder.store(builder.fadd(builder.load(at), total), at)
            y = code.after(y, stride)
        return context.get_dummy_value()

    return types.void(tile, y, types.int64, types.int64), write


@intrinsic
def peek(context, number):  # type: ignore[no-untyped-def]
    """number[0] of an array of int64, read from memory each time: another thread may write it."""

    def write(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load_atomic(data, "acquire", 8)

    return types.int64(number), write


def move(lanes: int) -> Any:
    """An intrinsic that copies `lanes` numbers and adds `shift` to each: y[i:] = x[j:] + shift."""

    @intrinsic
    def step(context, y, i, x, j, shift):  # type: ignore[no-untyped-def]
        def write(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            y, i, x, j, shift = arguments
            code = _Code(context, builder, _vector(signature.args[0].dtype, lanes))
            value = code.load(code.address(signature.args[2], x, j))
            value = builder.fadd(value, code.repeat(shift))
            code.store(value, code.address(signature.args[0], y, i))
            return context.get_dummy_value()

        return types.void(y, types.int64, x, types.int64, x.dtype), write

    return step


move16, move8, move4 = move(16), move(8), move(4)
