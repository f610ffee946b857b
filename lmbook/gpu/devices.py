"""What the data sheets say of some GPUs, and how many blocks fit on a multiprocessor."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from lmbook.gpu.errors import LaunchError


@dataclass(frozen=True)
class Limits:
    """Limits of a compute capability (CUDA C++ Programming Guide, "Compute Capabilities").

    Registers are given out to whole warps in units of 256, shared memory in units of `shared_unit` bytes;
    from sm_80 on each block also takes 1 KiB of shared memory for the system.
    """

    threads: int
    blocks: int
    shared: int
    shared_block: int
    shared_unit: int
    shared_reserved: int
    registers: int = 65536
    registers_thread: int = 255
    threads_block: int = 1024


LIMITS = {
    "sm_70": Limits(2048, 32, 96 << 10, 96 << 10, 256, 0),
    "sm_75": Limits(1024, 16, 64 << 10, 64 << 10, 256, 0),
    "sm_80": Limits(2048, 32, 164 << 10, 163 << 10, 128, 1024),
    "sm_86": Limits(1536, 16, 100 << 10, 99 << 10, 128, 1024),
    "sm_89": Limits(1536, 24, 100 << 10, 99 << 10, 128, 1024),
    "sm_90": Limits(2048, 32, 228 << 10, 227 << 10, 128, 1024),
}
STATIC_SHARED = 48 << 10
"""Bytes of shared memory that a block may have without being asked for at run time."""


@dataclass(frozen=True)
class Device:
    """A GPU: peaks in FLOP/s and byte/s, and who says so."""

    name: str
    arch: str
    multiprocessors: int
    flops: float
    bandwidth: float
    memory: float
    source: str

    @property
    def limits(self) -> Limits:
        """The limits of its architecture."""
        return LIMITS[self.arch]

    @property
    def ridge(self) -> float:
        """FLOP a byte above which arithmetic, not memory, bounds the time."""
        return self.flops / self.bandwidth


@cache
def devices() -> dict[str, Device]:
    """All devices by name and by short name (`T4`, `A100`, `H100`, ...)."""
    found: dict[str, Device] = {}
    with (files("lmbook.gpu") / "devices.csv").open(encoding="utf-8") as f:
        for row in csv.DictReader(f):
            one = Device(
                row["name"], row["arch"], int(row["multiprocessors"]), float(row["fp32_TFLOPS"]) * 1e12,
                float(row["bandwidth_GBps"]) * 1e9, float(row["memory_GB"]) * 1e9,
                f"{row['peaks_source']}; {row['multiprocessors_source']}",
            )  # fmt: skip
            for name in [row["name"], *filter(None, row["aliases"].split("|"))]:
                found[name] = one
    return found


def device(name: str | Device) -> Device:
    """A device by name. Raises `LaunchError` that lists those there are."""
    if isinstance(name, Device):
        return name
    known = devices()
    if name not in known:
        raise LaunchError(f"device {name!r} is unknown; there are {', '.join(sorted(known))}")
    return known[name]


@dataclass(frozen=True)
class Occupancy:
    """Warps that live on a multiprocessor at once, over the most there can be.

    `limits` says how many blocks each resource would allow, `limited_by` names the scarcest.
    """

    device: str
    blocks: int
    warps: int
    fraction: float
    limited_by: str
    limits: dict[str, int]

    def __str__(self) -> str:
        parts = ", ".join(f"{k} {v}" for k, v in self.limits.items())
        return (
            f"{self.device}: {self.blocks} blocks, {self.warps} warps, {self.fraction:.0%} of the most; "
            f"limited by {self.limited_by} (blocks by {parts})"
        )


def _up(n: int, unit: int) -> int:
    return -(-n // unit) * unit


def occupancy(name: str | Device, threads: int, registers: int, shared: int) -> Occupancy:
    """How many blocks of `threads` threads fit on one multiprocessor.

    blocks = min over threads, blocks, registers and shared memory of what each resource allows

    `registers` is per thread, as the compiler reports; `shared` bytes per block. Source: the rules of
    NVIDIA's occupancy calculator, with the limits of the CUDA C++ Programming Guide.
    """
    d = device(name)
    most = d.limits
    if not 1 <= threads <= most.threads_block:
        raise LaunchError(
            f"occupancy: a block has 1 to {most.threads_block} threads, not {threads}"
        )
    if not 0 <= registers <= most.registers_thread:
        raise LaunchError(
            f"occupancy: a thread has up to {most.registers_thread} registers, not {registers}"
        )
    if shared > most.shared_block:
        raise LaunchError(
            f"occupancy: {shared} bytes of shared memory; {d.name} has {most.shared_block}"
        )
    warps = -(-threads // 32)
    per_warp = _up(max(registers, 1) * 32, 256)
    allowed = {
        "threads": most.threads // (warps * 32),
        "blocks": most.blocks,
        "registers": most.registers // per_warp // 4 * 4 // warps,  # warps are given out by four
        "shared memory": most.shared
        // max(1, _up(shared + most.shared_reserved, most.shared_unit)),
    }
    blocks = min(allowed.values())
    return Occupancy(
        d.name, blocks, blocks * warps, blocks * warps / (most.threads // 32),
        min(allowed, key=lambda k: allowed[k]), allowed,
    )  # fmt: skip
