"""What is counted, for each line of the source and in all."""

from __future__ import annotations

from dataclasses import dataclass, fields

SECTOR = 32


@dataclass(slots=True)
class Counts:
    """Events of one line, or of a whole launch.

    A request is one memory instruction of one warp. A sector is 32 bytes of global memory; a warp's
    request moves every sector that one of its lanes touches. A wavefront is one pass over the 32
    banks of shared memory; lanes that want different words of one bank need several, and so does a warp
    that wants 8 or 16 bytes a lane (`simulator.traffic.wavefronts` has the rule).
    """

    operations: int = 0
    """Warp operations: arithmetic, comparisons, memory, branches, shuffles, barriers."""
    threads: int = 0
    """Lanes at work, summed over the operations."""
    flops: int = 0
    """Floating-point operations; `fmaf` is two, a special function one."""
    branches: int = 0
    divergent: int = 0
    """Branches of a warp whose lanes went both ways."""
    load_requests: int = 0
    load_sectors: int = 0
    load_bytes: int = 0
    """Bytes that lanes asked for."""
    store_requests: int = 0
    store_sectors: int = 0
    store_bytes: int = 0
    shared_loads: int = 0
    shared_load_wavefronts: int = 0
    shared_load_ideal: int = 0
    shared_stores: int = 0
    shared_store_wavefronts: int = 0
    shared_store_ideal: int = 0
    atomics: int = 0
    """Atomic operations of single lanes."""
    atomic_requests: int = 0
    atomic_sectors: int = 0
    atomic_serial: int = 0
    """Rounds that a warp's atomics need where lanes hit one address."""
    shuffles: int = 0
    """Warp shuffles and votes."""
    barriers: int = 0
    local_accesses: int = 0
    """Uses of a local array with an index unknown to the compiler: it cannot stay in registers."""

    def add(self, other: Counts) -> None:
        """Add the counts of another."""
        for f in fields(Counts):
            setattr(self, f.name, getattr(self, f.name) + getattr(other, f.name))

    # --- ratios; nan where nothing was counted

    @property
    def sectors_per_load(self) -> float:
        """Sectors a load request moves: 4 is best for 4-byte elements, 32 is worst."""
        return ratio(self.load_sectors, self.load_requests)

    @property
    def sectors_per_store(self) -> float:
        """Sectors of 32 bytes for each store of a warp."""
        return ratio(self.store_sectors, self.store_requests)

    @property
    def load_efficiency(self) -> float:
        """Bytes asked for over bytes moved."""
        return ratio(self.load_bytes, SECTOR * self.load_sectors)

    @property
    def store_efficiency(self) -> float:
        """Bytes asked to be stored over bytes moved."""
        return ratio(self.store_bytes, SECTOR * self.store_sectors)

    @property
    def bank_conflict(self) -> float:
        """Wavefronts of shared memory over the least possible: 1 is free of conflicts."""
        return ratio(
            self.shared_load_wavefronts + self.shared_store_wavefronts,
            self.shared_load_ideal + self.shared_store_ideal,
        )

    @property
    def shared_load_conflict(self) -> float:
        """Wavefronts of loads from shared memory over the least possible."""
        return ratio(self.shared_load_wavefronts, self.shared_load_ideal)

    @property
    def shared_store_conflict(self) -> float:
        """Wavefronts of stores to shared memory over the least possible."""
        return ratio(self.shared_store_wavefronts, self.shared_store_ideal)

    @property
    def lane_efficiency(self) -> float:
        """Share of the lanes of working warps that are at work."""
        return ratio(self.threads, 32 * self.operations)

    @property
    def bytes_issued(self) -> int:
        """Bytes that global requests move if no cache helps."""
        return SECTOR * (self.load_sectors + self.store_sectors + self.atomic_sectors)


def ratio(a: float, b: float) -> float:
    """a / b; nan where b is zero."""
    return a / b if b else float("nan")
