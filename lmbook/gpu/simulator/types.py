"""C's types as far as kernels need them, and its rules for mixing them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Scalar:
    """A number. `dtype` is how NumPy holds it."""

    name: str
    dtype: np.dtype

    @property
    def size(self) -> int:
        """Bytes of a value."""
        return self.dtype.itemsize

    @property
    def floating(self) -> bool:
        """Whether it is a floating-point type."""
        return self.dtype.kind == "f"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Vector:
    """`float4` and its kin: up to four numbers that one instruction loads or stores."""

    name: str
    of: Scalar
    lanes: int

    @property
    def size(self) -> int:
        """Bytes of a value."""
        return self.of.size * self.lanes

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Pointer:
    """An address in global, shared or local memory."""

    to: Scalar | Vector
    const: bool = False

    size = 8

    def __str__(self) -> str:
        return f"{'const ' if self.const else ''}{self.to}*"


@dataclass(frozen=True)
class Array:
    """An array declared in the kernel, `dims` from the outermost inwards."""

    of: Scalar | Vector
    dims: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of a value."""
        return self.of.size * int(np.prod(self.dims))

    def __str__(self) -> str:
        return f"{self.of}{''.join(f'[{d}]' for d in self.dims)}"


@dataclass(frozen=True)
class Void:
    """The type of a function that returns nothing."""

    size = 0

    def __str__(self) -> str:
        return "void"


CType = Scalar | Vector | Pointer | Array | Void


def _scalar(name: str, code: str) -> Scalar:
    return Scalar(name, np.dtype(code))


BOOL = _scalar("bool", "?")
INT8, UINT8 = _scalar("signed char", "i1"), _scalar("unsigned char", "u1")
INT16, UINT16 = _scalar("short", "i2"), _scalar("unsigned short", "u2")
INT, UINT = _scalar("int", "i4"), _scalar("unsigned int", "u4")
LONG, ULONG = _scalar("long long", "i8"), _scalar("unsigned long long", "u8")
HALF, FLOAT, DOUBLE = _scalar("__half", "f2"), _scalar("float", "f4"), _scalar("double", "f8")
VOID = Void()

NAMES: dict[str, CType] = {
    "void": VOID, "bool": BOOL, "char": INT8, "unsigned char": UINT8, "short": INT16,
    "unsigned short": UINT16, "int": INT, "unsigned": UINT, "signed": INT, "long long": LONG,
    "unsigned long long": ULONG, "size_t": ULONG, "half": HALF, "__half": HALF, "float": FLOAT,
    "double": DOUBLE,
}  # fmt: skip
"""Types by name. `long` is left out, since its size differs between systems."""

for _of, _stem in ((FLOAT, "float"), (INT, "int"), (UINT, "uint"), (DOUBLE, "double"),
                   (INT8, "char"), (UINT8, "uchar"), (INT16, "short"), (HALF, "half")):  # fmt: skip
    for _n in (2,) if _of in (HALF, DOUBLE) else (2, 3, 4):
        NAMES[f"{_stem}{_n}"] = Vector(f"{_stem}{_n}", _of, _n)
NAMES["__half2"] = NAMES["half2"]

UNSIGNED = {INT8: UINT8, INT16: UINT16, INT: UINT, LONG: ULONG}


def promote(t: Scalar) -> Scalar:
    """Integers narrower than `int` become `int`."""
    return INT if t.dtype.kind in "biu" and t.size < 4 else t


def usual(a: Scalar, b: Scalar) -> Scalar:
    """The type in which C computes `a op b`: the wider floating type, else the wider integer."""
    if a.floating or b.floating:
        return max((t for t in (a, b) if t.floating), key=lambda t: t.size)
    a, b = promote(a), promote(b)
    return max(a, b, key=lambda t: (t.size, t.dtype.kind == "u"))


def cast(value: Any, dtype: np.dtype) -> Any:
    """A number or an array of numbers in another type, as C converts it."""
    return value if value.dtype == dtype else value.astype(dtype)
