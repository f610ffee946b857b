"""How kernels are compiled, and the functions of one number that they share."""

import math
from typing import Any

import numba
import numpy as np
from numba.extending import overload

jit = numba.njit(
    nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"}
)
"""Sums may be reordered, so that they vectorise; NaN and infinity keep their meaning."""


def fit(function: Any, low: float, high: float, degree: int) -> tuple[float, ...]:
    """Coefficients, lowest first, of the polynomial through the Chebyshev nodes of [low, high]."""
    series = np.polynomial.chebyshev.Chebyshev.interpolate(function, degree, domain=[low, high])
    return tuple(series.convert(kind=np.polynomial.Polynomial).coef)


_E = tuple(np.float32(c) for c in fit(np.exp, -math.log(2) / 2, math.log(2) / 2, 6))
_T = tuple(
    np.float32(c) for c in fit(lambda z: (np.tanh(np.sqrt(z)) / np.sqrt(z) - 1) / z, 1e-9, 0.4, 5)
)
_LOG2E = np.float32(1 / math.log(2))
_LN2_HIGH = np.float32(0.693359375)  # few enough bits that n times it is exact
_LN2_LOW = np.float32(math.log(2) - 0.693359375)
_TOP, _BOTTOM = np.float32(88.3), np.float32(-87.3)
_HALF, _ONE, _TWO = np.float32(0.5), np.float32(1), np.float32(2)


def exp(x: Any) -> Any:
    """e^x; in float32 a polynomial times a power of two, which the compiler can vectorise."""
    return math.exp(x)


def tanh(x: Any) -> Any:
    """Hyperbolic tangent; in float32 without branches."""
    return math.tanh(x)


@jit
def _exp32(x):  # type: ignore[no-untyped-def]
    y = min(max(x, _BOTTOM), _TOP)
    n = np.rint(y * _LOG2E)
    r = (y - n * _LN2_HIGH) - n * _LN2_LOW
    p = _E[0] + r * (_E[1] + r * (_E[2] + r * (_E[3] + r * (_E[4] + r * (_E[5] + r * _E[6])))))
    scale = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return np.float32(0) if x < _BOTTOM else (np.float32(np.inf) if x > _TOP else p * scale)


@jit
def _tanh32(x):  # type: ignore[no-untyped-def]
    z = x * x
    small = x + x * z * (_T[0] + z * (_T[1] + z * (_T[2] + z * (_T[3] + z * (_T[4] + z * _T[5])))))
    large = _ONE - _TWO / (_exp32(_TWO * abs(x)) + _ONE)
    return small if z < np.float32(0.39) else math.copysign(large, x)


@overload(exp)
def _exp(x):  # type: ignore[no-untyped-def]
    if x == numba.float32:
        return lambda x: _exp32(x)
    return lambda x: math.exp(x)


@overload(tanh)
def _tanh(x):  # type: ignore[no-untyped-def]
    if x == numba.float32:
        return lambda x: _tanh32(x)
    return lambda x: math.tanh(x)


@jit
def place(x):  # type: ignore[no-untyped-def]
    """Where an array stands in memory (several times quicker than to ask NumPy)."""
    return x.ctypes.data


def rows(x: np.ndarray) -> np.ndarray:
    """x as a contiguous matrix whose rows are its last axis."""
    return np.ascontiguousarray(x).reshape(-1, x.shape[-1])


def flat(x: np.ndarray) -> np.ndarray:
    """x as one contiguous axis."""
    return np.ascontiguousarray(x).reshape(-1)
