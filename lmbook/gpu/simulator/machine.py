"""The state of a launch: a batch of blocks that run in step, each lane an entry of NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmbook.gpu.errors import DivergentBarrier, KernelFault
from lmbook.gpu.simulator.counters import Counts
from lmbook.gpu.simulator.masks import NOBODY, WARP, Mask
from lmbook.gpu.simulator.requests import Watch

Array = np.ndarray
Triple = tuple[int, int, int]


class Machine:
    """Runs `blocks` blocks of a grid at once.

    A value has a shape that broadcasts to (blocks, threads): a single number where all lanes agree,
    (1, threads) where it depends on the thread alone, (blocks, 1) on the block alone. So an index
    such as `threadIdx.y * 16 + k` is computed once, not once a block.
    """

    def __init__(
        self, kernel: str, source: list[str], grid: Triple, block: Triple, slots: int,
        races: bool, max_iterations: int,
    ) -> None:  # fmt: skip
        self.kernel, self.source, self.grid, self.block = kernel, source, grid, block
        self.threads = int(np.prod(block))
        self.padded = -(-self.threads // WARP) * WARP
        self.races, self.max_iterations = races, max_iterations
        self.lines = [Counts() for _ in range(len(source) + 2)]
        self.registers: list[Any] = [None] * slots
        self.owner: list[Mask | None] = [None] * slots  # the mask under which each was declared
        self.special: dict[str, Any] = {}
        self.shared: dict[str, Any] = {}
        self.loops: list[list[Mask]] = []  # innermost last: lanes that broke off, that continued
        self.calls: list[Any] = []  # innermost last: the value to be returned
        self.clock = 0  # one tick a memory access or barrier, for the race detector
        self.fenced = False
        self.watch: Watch | None = None  # the warp whose requests are kept
        self.shared_dynamic = 0  # bytes of `extern __shared__`

    def begin(self, first: int, count: int) -> None:
        """Load the next batch: blocks `first` to `first + count - 1` of the grid."""
        self.first_block, self.blocks = first, count
        self.shape = (count, self.padded)
        thread, block = np.arange(self.padded)[None, :], np.arange(first, first + count)[:, None]
        for axis, t, b in zip("xyz", _split(thread, self.block), _split(block, self.grid)):
            self.special["threadIdx." + axis], self.special["blockIdx." + axis] = t, b
        for axis, i in zip("xyz", range(3)):
            self.special["blockDim." + axis] = np.uint32(self.block[i])
            self.special["gridDim." + axis] = np.uint32(self.grid[i])
        lanes = np.ones((1, 1), bool)
        if self.padded != self.threads:
            lanes = thread < self.threads
        self.mask = self.live = Mask(lanes, self.shape)
        self.shared = {}
        self.block_sync = np.full(1, self.clock)  # time of the last barrier, (1 or blocks,)
        self.warp_sync = np.full((1, self.padded // WARP), self.clock)

    # --- lanes

    def spread(self, value: Any) -> Array:
        """A value as an array of shape (blocks, threads)."""
        return np.broadcast_to(value, self.shape)

    def branch(self, line: int, test: Any) -> tuple[Mask, Mask]:
        """Lanes for which `test` holds and the others, `NOBODY` where there are none."""
        mask = self.mask
        counts = self.lines[line]
        counts.branches += mask.warps
        counts.operations += mask.warps
        counts.threads += mask.count
        if np.ndim(test) == 0:
            return (mask, NOBODY) if test else (NOBODY, mask)
        yes = mask.both(test)
        if yes.count == 0:
            return NOBODY, mask
        if yes.count == mask.count:
            return mask, NOBODY
        no = mask.without(test)
        counts.divergent += yes.warps + no.warps - mask.warps
        return yes, no

    # --- counters

    def charge(self, line: int, operations: int, flops: int) -> None:
        """Count operations of the warps at work, and FLOP of their lanes, to a line."""
        counts, mask = self.lines[line], self.mask
        counts.operations += operations * mask.warps
        counts.threads += operations * mask.count
        counts.flops += flops * mask.count

    # --- barriers

    def barrier(self, line: int) -> None:
        """`__syncthreads()`: all threads of a block that still run must be here."""
        self.charge(line, 1, 0)
        self.lines[line].barriers += self.mask.warps
        here = self.mask
        whole = here is self.live
        some = np.ones(1, bool)
        if not whole:
            here_lanes, live = here.spread(), self.live.spread()
            some = np.any(here_lanes, axis=1)
            missing = live & ~here_lanes & some[:, None]
            if missing.any():
                b = int(np.argmax(missing.any(axis=1)))
                self.fault(
                    DivergentBarrier, line,
                    f"__syncthreads() is reached by {int(here_lanes[b].sum())} of the block's "
                    f"{int(live[b].sum())} threads, which wait for the others for ever",
                    missing,
                )  # fmt: skip
            whole = bool(some.all())
        self.clock += 1
        if whole:
            self.block_sync = np.full(1, self.clock)
        else:
            self.block_sync = np.where(some, self.clock, self.block_sync)

    def warp_barrier(self, line: int) -> None:
        """`__syncwarp()`: orders the memory accesses of a warp's lanes."""
        self.charge(line, 1, 0)
        self.clock += 1
        rows = np.broadcast_to(self.mask.lanes, (len(self.mask.lanes), self.padded))
        here = rows.reshape(len(rows), -1, WARP).any(axis=2)
        self.warp_sync = np.where(here, self.clock, self.warp_sync)

    # --- faults

    def fault(self, kind: type[KernelFault], line: int, problem: str, bad: Any) -> None:
        """Raise `kind` for the first lane at work for which `bad` holds."""
        bad = np.broadcast_to(bad, self.shape) & self.mask_or_live(bad)
        at = int(np.argmax(bad))
        b, t = divmod(at, self.padded)
        x, y, _ = self.block
        gx, gy, _ = self.grid
        n = self.first_block + b
        raise kind(
            self.kernel, line, self.source[line - 1], problem,
            (n % gx, n // gx % gy, n // (gx * gy)), (t % x, t // x % y, t // (x * y)),
        )  # fmt: skip

    def mask_or_live(self, bad: Any) -> Array:
        """Lanes at work, or all that run where the fault lies with lanes that are not."""
        working = self.mask.spread()
        return working if (working & bad).any() else self.live.spread()


def _split(index: Array, dims: Triple) -> list[Any]:
    """x, y and z of a running index; a number where the dimension is 1."""
    x, y, _ = dims
    parts = (index % x, index // x % y, index // (x * y))
    return [p.astype(np.uint32) if n > 1 else np.uint32(0) for p, n in zip(parts, dims)]
