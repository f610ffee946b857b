"""Numbers in whole steps, as programmable logic computes them, and 8-bit integers with a scale."""

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class FixedPoint:
    """Signed numbers of `bits` bits, the last `fraction` of them behind the binary point.

        value = q / 2^fraction,    -2^(bits - 1) <= q < 2^(bits - 1)

    `fraction` may be negative or larger than `bits`. Bits are 2 to 48, which keeps whole numbers exact.
    """

    bits: int
    fraction: int

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 48:
            raise ValueError(f"FixedPoint: {self.bits} bits; choose 2 to 48")

    @property
    def step(self) -> float:
        """The distance between neighbours."""
        return 2.0**-self.fraction

    @property
    def low(self) -> float:
        """The lowest value."""
        return -(2.0 ** (self.bits - 1)) * self.step

    @property
    def high(self) -> float:
        """The highest value."""
        return (2.0 ** (self.bits - 1) - 1) * self.step

    def encode(self, x: Array) -> Array:
        """The nearest whole numbers (int64), ties to even; what lies beyond an end becomes that end.

        Raises `ValueError` for values that are not finite.
        """
        x = np.asarray(x, np.float64)
        if not np.isfinite(x).all():
            raise ValueError(
                "FixedPoint.encode: there are values that are not finite; clean them first"
            )
        top = 2 ** (self.bits - 1)
        return np.clip(np.rint(x / self.step), -top, top - 1).astype(np.int64)

    def decode(self, q: Array) -> Array:
        """The values of whole numbers, in float64."""
        return np.asarray(q, np.float64) * self.step

    def round(self, x: Array) -> Array:
        """`x` as this format holds it; inside the range the error is at most half a step."""
        return self.decode(self.encode(x))


def wrap(q: Array, bits: int) -> Array:
    """Whole numbers as a register of `bits` bits keeps them: modulo 2^bits, from -2^(bits - 1) up."""
    half = 2 ** (bits - 1)
    return (np.asarray(q, np.int64) + half) % (2 * half) - half


def multiply_accumulate(a: Array, b: Array, bits: int = 48, overflow: str = "error") -> Array:
    """Sum over k of a[..., k] b[..., k], one product a cycle into an accumulator of `bits` bits.

    `overflow` says what happens at its ends: "error" raises `OverflowError`, "wrap" keeps the lower bits as
    an adder does, "saturate" stays at the end. 48 bits is the accumulator of a DSP slice of AMD's
    UltraScale FPGAs. Raises `ValueError` for another word, `TypeError` for numbers that are not whole.
    """
    if overflow not in ("error", "wrap", "saturate"):
        raise ValueError(
            f"multiply_accumulate: overflow={overflow!r}; 'error', 'wrap' or 'saturate'"
        )
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype.kind != "i" or b.dtype.kind != "i":
        raise TypeError(
            f"multiply_accumulate: {a.dtype} and {b.dtype}; encode them as whole numbers first"
        )
    a, b = np.broadcast_arrays(a.astype(np.int64), b.astype(np.int64))
    half = 2 ** (bits - 1)
    total = np.zeros(a.shape[:-1], np.int64)
    for k in range(a.shape[-1]):
        total = total + a[..., k] * b[..., k]
        if overflow == "wrap":
            total = wrap(total, bits)
        elif overflow == "saturate":
            total = np.clip(total, -half, half - 1)
        elif ((total < -half) | (total >= half)).any():
            raise OverflowError(
                f"multiply_accumulate: after product {k + 1} of {a.shape[-1]} a sum needs more than {bits} "
                "bits; widen the accumulator, or scale the inputs down"
            )
    return total


def quantise(x: Array, bits: int = 8, axis: int | None = None) -> tuple[Array, Array]:
    """Whole numbers q and a scale s with x about s q, symmetric around zero.

        s = max |x| / (2^(bits - 1) - 1),    q = round(x / s)

    `axis` names the axis that is reduced, so each row (axis=1) or column (axis=0) has its own scale; the
    scale keeps its dimensions. q is int8 for up to 8 bits, int32 above. The error is at most s / 2.
    """
    if not 2 <= bits <= 24:
        raise ValueError(f"quantise: {bits} bits; choose 2 to 24")
    x = np.asarray(x, np.float64)
    top = 2 ** (bits - 1) - 1
    largest = np.abs(x).max(axis=axis, keepdims=axis is not None)
    scale = np.where(largest > 0, largest, 1.0) / top
    q = np.clip(np.rint(x / scale), -top, top)
    return q.astype(np.int8 if bits <= 8 else np.int32), scale


def int_matmul(a: Array, b: Array, bits: int = 8) -> Array:
    """a @ b in integers: rows of `a` and columns of `b` quantised, products summed exactly, then scaled.

    `a` has shape (m, k), `b` (k, n). Raises `ValueError` for other shapes.
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise ValueError(f"int_matmul: shapes {a.shape} and {b.shape}; give (m, k) and (k, n)")
    (qa, sa), (qb, sb) = quantise(a, bits, axis=1), quantise(b, bits, axis=0)
    return (qa.astype(np.int64) @ qb.astype(np.int64)) * (sa * sb)
