"""Rooflines: the speed that arithmetic and memory allow, and the work that asks for it.

Source: Williams, Waterman and Patterson, "Roofline: an insightful visual performance model", 2009.
"""

from dataclasses import dataclass


def attainable(intensity: float, peak: float, bandwidth: float) -> float:
    """FLOP/s at most: min(peak, intensity x bandwidth), with `intensity` in FLOP a byte."""
    return min(peak, intensity * bandwidth)


@dataclass(frozen=True)
class Roofline:
    """Peak in FLOP/s, bandwidth in bytes a second."""

    name: str
    peak: float
    bandwidth: float

    @property
    def ridge(self) -> float:
        """FLOP a byte from which on arithmetic is what takes time."""
        return self.peak / self.bandwidth


@dataclass(frozen=True)
class Work:
    """FLOP, and the bytes that must cross the memory's edge if everything is read and written once."""

    name: str
    flops: float
    bytes: float

    @property
    def intensity(self) -> float:
        """FLOP a byte."""
        return self.flops / self.bytes

    def seconds(self, machine: Roofline) -> float:
        """The least time: max(flops / peak, bytes / bandwidth). No machine is faster; most are slower."""
        return max(self.flops / machine.peak, self.bytes / machine.bandwidth)

    def share(self, machine: Roofline) -> float:
        """The share of the peak that is within reach."""
        return attainable(self.intensity, machine.peak, machine.bandwidth) / machine.peak


def vector_add(n: int, itemsize: int = 2) -> Work:
    """x + y of n numbers: n FLOP; two read and one written."""
    return Work("vector add", n, 3 * n * itemsize)


def matvec(m: int, n: int, itemsize: int = 2) -> Work:
    """An (m, n) matrix times a vector: 2 m n FLOP, the matrix read once."""
    return Work("matrix-vector", 2 * m * n, (m * n + m + n) * itemsize)


def matmul(m: int, k: int, n: int, itemsize: int = 2) -> Work:
    """(m, k) by (k, n): 2 m k n FLOP; both read, the product written."""
    return Work("matrix product", 2 * m * k * n, (m * k + k * n + m * n) * itemsize)


def attention(
    queries: int, keys: int, head: int, heads: int = 1, kv_heads: int | None = None,
    fused: bool = True, itemsize: int = 2,
) -> Work:  # fmt: skip
    """softmax(Q K^T) V: 4 queries keys head FLOP a head, of the two products.

    Bytes: Q and the result, K and V. Not `fused`, the scores are also written and read before the softmax and
    once more after it. `kv_heads` is the number of heads of K and V. The softmax's own FLOP are left out.
    """
    kv = heads if kv_heads is None else kv_heads
    numbers = 2 * queries * head * heads + 2 * keys * head * kv
    if not fused:
        numbers += 4 * queries * keys * heads
    name = "attention" if fused else "attention, scores written"
    return Work(name, 4 * queries * keys * head * heads, numbers * itemsize)


def decode(
    parameters: float, batch: int = 1, context: int = 0, layers: int = 0, width: int = 0,
    kv_width: int | None = None, itemsize: int = 2,
) -> Work:  # fmt: skip
    """One new token for each of `batch` texts.

        FLOP    batch (2 parameters + 4 layers width context)
        bytes   itemsize (parameters + batch 2 layers kv_width context)

    The weights are read once for the whole batch, the keys and values of each text for that text alone.
    """
    kv = width if kv_width is None else kv_width
    flops = batch * (2 * parameters + 4 * layers * width * context)
    return Work("decode", flops, itemsize * (parameters + batch * 2 * layers * kv * context))
