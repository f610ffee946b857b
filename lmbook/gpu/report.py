"""What a simulated launch did: totals, a listing of the source, roofline and occupancy."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lmbook.gpu.devices import Device, Occupancy, device, occupancy
from lmbook.gpu.simulator.counters import Counts, ratio
from lmbook.gpu.simulator.launch import Traffic
from lmbook.gpu.simulator.machine import Triple
from lmbook.gpu.simulator.requests import Request


@dataclass(frozen=True)
class Roofline:
    """A launch against the peaks of a device. No time was measured: `seconds` is a bound from below.

    `intensity` is FLOP a byte with a perfect cache, `intensity_issued` without any.
    """

    device: str
    intensity: float
    intensity_issued: float
    ridge: float
    bound: str
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.device}: {self.intensity_issued:.3g} to {self.intensity:.3g} FLOP/byte, ridge "
            f"{self.ridge:.3g}: bound by {self.bound}, cannot be faster than {self.seconds * 1e6:.3g} us"
        )


class Report:
    """Counters of one launch.

    `total` sums `lines`, the counters by source line (from 1). `bytes_touched` are the bytes of global
    memory that a perfect cache would move once, `bytes_issued` those that all requests move. Not modelled:
    hit rates of caches, latency, scheduling, tensor cores.
    """

    def __init__(
        self, kernel: str, source: list[str], grid: Triple, block: Triple, lines: list[Counts],
        traffic: list[Traffic], shared_bytes: int, writers: dict[str, Any] | None = None,
        requests: Sequence[Request] = (),
    ) -> None:  # fmt: skip
        self.kernel, self.source, self.grid, self.block = kernel, source, grid, block
        self.lines, self.traffic, self.shared_bytes = lines, traffic, shared_bytes
        self.writers = (
            writers or {}
        )  # lines that wrote each number of each argument, with races=True
        self.requests = list(requests)  # of one warp, with watch=(block, warp)
        self.threads = math.prod(block)
        self.blocks = math.prod(grid)
        self.total = Counts()
        for counts in lines:
            self.total.add(counts)

    def line(self, text: str) -> Counts:
        """Counters of the lines that contain `text`, summed; an error if there is none."""
        found = [c for c, s in zip(self.lines[1:], self.source) if text in s]
        if not found:
            raise KeyError(f"no line of {self.kernel} contains {text!r}")
        total = Counts()
        for counts in found:
            total.add(counts)
        return total

    @property
    def bytes_touched(self) -> int:
        """Bytes of all arrays that were loaded or stored, each counted once for either."""
        return sum(t.loaded + t.stored for t in self.traffic)

    @property
    def bytes_issued(self) -> int:
        """Bytes that all load and store instructions asked for."""
        return self.total.bytes_issued

    @property
    def intensity(self) -> float:
        """FLOP a byte if every byte moves once."""
        return ratio(self.total.flops, self.bytes_touched)

    def occupancy(self, name: str | Device, registers: int) -> Occupancy:
        """How many of these blocks a multiprocessor holds; `registers` come from `Kernel.compile`."""
        return occupancy(name, self.threads, registers, self.shared_bytes)

    def roofline(self, name: str | Device) -> Roofline:
        """The least time a device needs: max of FLOP over its peak and bytes touched over its bandwidth."""
        d = device(name)
        seconds = max(self.total.flops / d.flops, self.bytes_touched / d.bandwidth)
        return Roofline(
            d.name, self.intensity, ratio(self.total.flops, self.bytes_issued), d.ridge,
            "memory" if self.intensity < d.ridge or not self.bytes_touched else "arithmetic", seconds,
        )  # fmt: skip

    def __str__(self) -> str:
        t = self.total
        rows = [
            f"{self.kernel}: grid {self.grid}, block {self.block}, {self.shared_bytes} bytes shared a block",
            f"  warp operations {t.operations:,}, lanes at work {t.lane_efficiency:.1%}; "
            f"branches {t.branches:,}, divergent {t.divergent:,}; barriers {t.barriers:,}",
            _requests("loads ", t.load_requests, t.sectors_per_load, t.load_efficiency),
            _requests("stores", t.store_requests, t.sectors_per_store, t.store_efficiency),
        ]
        if t.shared_loads or t.shared_stores:
            rows.append(
                f"  shared: {t.shared_loads + t.shared_stores:,} requests, "
                f"{t.bank_conflict:.2f} times the least wavefronts"
            )
        if t.atomics:
            rows.append(f"  atomics {t.atomics:,} in {t.atomic_requests:,} requests")
        rows.append(
            f"  FLOP {t.flops:,}; bytes {self.bytes_touched:,} touched, {self.bytes_issued:,} issued"
        )
        return "\n".join(rows)

    def listing(self, width: int | None = None, wrap: bool = False) -> str:
        """The source with the counters of each line beside it.

        Columns: warp operations, sectors a load and a store request, wavefronts of shared memory over the
        least, divergent branches. With a `width` only lines that did something, cut to so many characters, or
        broken over several rows with `wrap`.
        """
        rows = [f"{'warp ops':>10} {'ld s/r':>6} {'st s/r':>6} {'banks':>6} {'diverge':>8}"]
        for c, text in zip(self.lines[1:], self.source):
            if width is not None and not c.operations:
                continue
            cells = [
                f"{c.operations:,}" if c.operations else "",
                _number(c.sectors_per_load), _number(c.sectors_per_store), _number(c.bank_conflict),
                f"{c.divergent:,}" if c.divergent else "",
            ]  # fmt: skip
            widths = (10, 6, 6, 6, 8)
            text = text if width is None else text.strip()
            row = " ".join(v.rjust(w) for v, w in zip(cells, widths)) + "  "
            if width is not None and wrap:
                blank = " " * (len(row) + 2)
                rows += textwrap.wrap(text, width, initial_indent=row, subsequent_indent=blank)
                continue
            row += text
            rows.append(row if width is None or len(row) <= width else row[: width - 1] + "\u2026")
        return "\n".join(row.rstrip() for row in rows)


def _number(x: float) -> str:
    return "" if math.isnan(x) else f"{x:.2f}"


def _requests(what: str, requests: int, per: float, efficiency: float) -> str:
    if not requests:
        return f"  global {what} none"
    return f"  global {what} {requests:,} requests, {per:.2f} sectors each, {efficiency:.1%} of bytes used"
