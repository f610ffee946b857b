"""The functions of CUDA's mathematics that compute on registers alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lmbook.backend.kernels.activation import erf
from lmbook.gpu.errors import SubsetError
from lmbook.gpu.simulator.types import (
    BOOL,
    DOUBLE,
    FLOAT,
    HALF,
    INT,
    LONG,
    NAMES,
    UINT,
    Scalar,
    Vector,
    promote,
    usual,
)  # fmt: skip
from lmbook.gpu.simulator.values import Expr, convert, decay


class Function(NamedTuple):
    """Types of parameters (None: the arguments' own), of the result, and the function itself."""

    parameters: tuple[Scalar | None, ...]
    result: Scalar | None
    compute: Callable[..., Any]
    flops: int = 1


def _rsqrt(x: Any) -> Any:
    return x.dtype.type(1) / np.sqrt(x)


def _round(x: Any) -> Any:
    return np.trunc(x + np.copysign(x.dtype.type(0.5), x))


def _erf(x: Any) -> Any:
    return erf(np.asarray(x))[()]


_REAL: dict[str, Callable[..., Any]] = {
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log2": np.log2,
    "log10": np.log10, "log1p": np.log1p, "sqrt": np.sqrt, "rsqrt": _rsqrt, "tanh": np.tanh,
    "sin": np.sin, "cos": np.cos, "erf": _erf, "fabs": np.abs, "floor": np.floor,
    "ceil": np.ceil, "rint": np.rint, "round": _round, "trunc": np.trunc,
}  # fmt: skip
_REAL2: dict[str, Callable[..., Any]] = {
    "fmax": np.fmax, "fmin": np.fmin, "pow": np.power, "fmod": np.fmod, "copysign": np.copysign,
}  # fmt: skip
_FAST = {"__expf": "exp", "__logf": "log", "__log2f": "log2", "__sinf": "sin", "__cosf": "cos",
         "__powf": "pow", "__fsqrt_rn": "sqrt", "__frsqrt_rn": "rsqrt", "exp10f": "exp10"}  # fmt: skip


def _fma(a: Any, b: Any, c: Any) -> Any:
    """a b + c with one rounding: exact in float64 for float32."""
    if a.dtype == np.float64:
        return a * b + c
    return (a.astype(np.float64) * b + c).astype(a.dtype)


def _bits(to: str) -> Callable[[Any], Any]:
    return lambda x: x.view(to) if np.ndim(x) == 0 else np.ascontiguousarray(x).view(to)


def _popcount(x: Any) -> Any:
    x = np.asarray(x).astype(np.uint32)
    x = x - ((x >> np.uint32(1)) & np.uint32(0x55555555))
    x = (x & np.uint32(0x33333333)) + ((x >> np.uint32(2)) & np.uint32(0x33333333))
    x = (x + (x >> np.uint32(4))) & np.uint32(0x0F0F0F0F)
    return ((x * np.uint32(0x01010101)) >> np.uint32(24)).astype(np.int32)


def _leading_zeros(x: Any) -> Any:
    bits = np.asarray(x).astype(np.uint32).astype(np.float64)
    return np.where(bits == 0, 32, 31 - np.floor(np.log2(np.maximum(bits, 1)))).astype(np.int32)


def _first_set(x: Any) -> Any:
    x = np.asarray(x).astype(np.int32)
    return np.where(x == 0, 0, 32 - _leading_zeros(x & -x)).astype(np.int32)


def _dot4(a: Any, b: Any, c: Any) -> Any:
    """Four products of signed bytes and their sum."""
    parts = (np.ascontiguousarray(np.atleast_1d(v))[..., None].view(np.int8) for v in (a, b))
    x, y = (p.astype(np.int32) for p in parts)
    return c + (x * y).sum(axis=-1, dtype=np.int32).reshape(
        np.broadcast_shapes(np.shape(a), np.shape(b))
    )


FUNCTIONS: dict[str, Function] = {
    "fmaf": Function((FLOAT, FLOAT, FLOAT), FLOAT, _fma, 2),
    "__fmaf_rn": Function((FLOAT, FLOAT, FLOAT), FLOAT, _fma, 2),
    "fma": Function((None, None, None), None, _fma, 2),
    "__fdividef": Function((FLOAT, FLOAT), FLOAT, np.divide),
    "__fdiv_rn": Function((FLOAT, FLOAT), FLOAT, np.divide),
    "__fadd_rn": Function((FLOAT, FLOAT), FLOAT, np.add),
    "__fmul_rn": Function((FLOAT, FLOAT), FLOAT, np.multiply),
    "__frcp_rn": Function((FLOAT,), FLOAT, lambda x: np.float32(1) / x),
    "isnan": Function((None,), BOOL, np.isnan, 0),
    "isinf": Function((None,), BOOL, np.isinf, 0),
    "isfinite": Function((None,), BOOL, np.isfinite, 0),
    "abs": Function((None,), None, np.abs),
    "max": Function((None, None), None, np.fmax),
    "min": Function((None, None), None, np.fmin),
    "__popc": Function((UINT,), INT, _popcount, 0),
    "__clz": Function((INT,), INT, _leading_zeros, 0),
    "__ffs": Function((INT,), INT, _first_set, 0),
    "__float_as_int": Function((FLOAT,), INT, _bits("i4"), 0),
    "__float_as_uint": Function((FLOAT,), UINT, _bits("u4"), 0),
    "__int_as_float": Function((INT,), FLOAT, _bits("f4"), 0),
    "__uint_as_float": Function((UINT,), FLOAT, _bits("f4"), 0),
    "__float2int_rn": Function((FLOAT,), INT, lambda x: np.rint(x).astype(np.int32), 0),
    "__float2int_rd": Function((FLOAT,), INT, lambda x: np.floor(x).astype(np.int32), 0),
    "__float2int_ru": Function((FLOAT,), INT, lambda x: np.ceil(x).astype(np.int32), 0),
    "__float2int_rz": Function((FLOAT,), INT, lambda x: np.trunc(x).astype(np.int32), 0),
    "__int2float_rn": Function((INT,), FLOAT, lambda x: x.astype(np.float32), 0),
    "__half2float": Function((HALF,), FLOAT, lambda x: x.astype(np.float32), 0),
    "__float2half": Function((FLOAT,), HALF, lambda x: x.astype(np.float16), 0),
    "__float2half_rn": Function((FLOAT,), HALF, lambda x: x.astype(np.float16), 0),
    "__hadd": Function((HALF, HALF), HALF, np.add),
    "__hmul": Function((HALF, HALF), HALF, np.multiply),
    "__hfma": Function((HALF, HALF, HALF), HALF, _fma, 2),
    "__dp4a": Function((INT, INT, INT), INT, _dot4, 0),
}
for _name, _f in _REAL.items():
    FUNCTIONS[_name] = Function((None,), None, _f)
    FUNCTIONS[_name + "f"] = Function((FLOAT,), FLOAT, _f)
for _name, _f in _REAL2.items():
    FUNCTIONS[_name] = Function((None, None), None, _f)
    FUNCTIONS[_name + "f"] = Function((FLOAT, FLOAT), FLOAT, _f)
for _name, _plain in _FAST.items():
    if _plain + "f" in FUNCTIONS:
        FUNCTIONS[_name] = FUNCTIONS[_plain + "f"]

CONSTANTS: dict[str, tuple[Scalar, Any]] = {
    "INFINITY": (FLOAT, np.inf), "NAN": (FLOAT, np.nan), "FLT_MAX": (FLOAT, np.finfo(np.float32).max),
    "FLT_MIN": (FLOAT, np.finfo(np.float32).tiny), "FLT_EPSILON": (FLOAT, np.finfo(np.float32).eps),
    "INT_MAX": (INT, 2**31 - 1), "INT_MIN": (INT, -(2**31)), "UINT_MAX": (UINT, 2**32 - 1),
    "LLONG_MAX": (LONG, 2**63 - 1), "warpSize": (INT, 32), "true": (BOOL, True), "false": (BOOL, False),
}  # fmt: skip


def call(name: str, arguments: list[Expr], line: int) -> Expr:
    """A call of one of `FUNCTIONS`, or of `make_float4` and the like."""
    if name.startswith("make_"):
        return make_vector(name, arguments, line)
    f = FUNCTIONS[name]
    arguments = [decay(a) for a in arguments]
    if len(arguments) != len(f.parameters):
        raise SubsetError(line, f"{name} takes {len(f.parameters)} arguments, not {len(arguments)}")
    own = _common(name, arguments, line) if None in f.parameters else FLOAT
    args = [convert(a, p or own, line) for a, p in zip(arguments, f.parameters)]
    result = f.result or own
    runs, compute = [a.run for a in args], f.compute
    flops = f.flops if any(a.type.floating for a in args) else 0  # type: ignore[union-attr]
    return Expr(
        result, lambda m: compute(*[r(m) for r in runs]),
        sum(a.operations for a in args) + 1, sum(a.flops for a in args) + flops,
        None, all(a.pure for a in args),
    )  # fmt: skip


def _common(name: str, arguments: list[Expr], line: int) -> Scalar:
    """The type in which an overloaded function computes."""
    types = [a.type for a in arguments]
    if not all(isinstance(t, Scalar) for t in types):
        raise SubsetError(line, f"{name} takes numbers, not {', '.join(map(str, types))}")
    t = types[0]
    assert isinstance(t, Scalar)
    for other in types[1:]:
        assert isinstance(other, Scalar)
        t = usual(t, other)
    t = t if t.floating else promote(t)
    return t if t.floating or name in ("abs", "max", "min") else DOUBLE


def make_vector(name: str, arguments: list[Expr], line: int) -> Expr:
    """`make_float4(x, y, z, w)`."""
    t = NAMES.get(name[5:])
    if not isinstance(t, Vector):
        raise SubsetError(line, f"{name} is not a function of the subset")
    if len(arguments) != t.lanes:
        raise SubsetError(line, f"{name} takes {t.lanes} arguments, not {len(arguments)}")
    args = [convert(a, t.of, line) for a in arguments]
    runs = [a.run for a in args]
    return Expr(
        t, lambda m: [r(m) for r in runs], sum(a.operations for a in args),
        sum(a.flops for a in args), None, all(a.pure for a in args),
    )  # fmt: skip
