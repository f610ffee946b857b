"""The race detector: who used a place last, and whether a barrier stands between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lmbook.gpu.errors import DataRace
from lmbook.gpu.simulator.masks import WARP

if TYPE_CHECKING:
    from lmbook.gpu.simulator.machine import Machine

Array = np.ndarray
KINDS = ("read", "write", "atomic")
EVERYONE = -1
_BLOCKS = -(1 << 40)
"""Who used a place is one number: a thread from 0; several of warp w: -2 - w; several warps of block b:
_BLOCKS - b; several blocks: EVERYONE."""


def warp_of(who: Array) -> Array:
    """The warp of a thread, or of several threads of one; -1 for several warps."""
    one = np.where((who <= -2) & (who > _BLOCKS), -2 - who, -1)
    return np.where(who >= 0, who // WARP, one)


def block_of(who: Array, warps: int) -> Array:
    """The block of a thread, a warp, or several warps of one block; -1 for several blocks."""
    warp = warp_of(who)
    return np.where(warp >= 0, warp // warps, np.where(who <= _BLOCKS, _BLOCKS - who, -1))


class Shadow:
    """For each grain of an array: time and thread of the last read, write and atomic.

    Two uses of a place conflict if one writes, they are not both atomic, come from different threads,
    and no barrier that holds for both lies between: `__syncthreads` for threads of a block, `__syncwarp`
    for lanes of a warp. Between blocks there is none. Rows: one while all blocks do the same, else one a
    block.
    """

    def __init__(self, grains: int, shared: bool) -> None:
        self.shared = shared
        shape = (1, grains)
        self.time = {k: np.full(shape, -1, np.int64) for k in KINDS}
        self.who = {k: np.zeros(shape, np.int64) for k in KINDS}
        self.line = np.zeros(shape, np.int32)  # that wrote last, 0 where none did
        self.last = dict.fromkeys(KINDS, -1)  # time of the last use of any place

    def read(self, m: Machine, line: int, memory: Any, index: Array, size: int) -> None:
        """Note a read of the lanes at work; fault where another thread wrote without a barrier between."""
        for at, me, block, lanes in self._places(m, memory, index, size):
            self._conflict(m, line, memory, at, me, block, lanes, "write", "reads what {} wrote")
            self._conflict(m, line, memory, at, me, block, lanes, "atomic", "reads what {} updates")
            self._note(m, "read", at, me, block)

    def write(
        self, m: Machine, line: int, memory: Any, index: Array, size: int, value: Any
    ) -> None:
        """Note a write; fault where another thread read or wrote without a barrier between."""
        for at, me, block, lanes in self._places(m, memory, index, size):
            self._conflict(m, line, memory, at, me, block, lanes, "write", "writes what {} wrote")
            self._conflict(m, line, memory, at, me, block, lanes, "read", "writes what {} read")
            self._conflict(
                m, line, memory, at, me, block, lanes, "atomic", "writes what {} updates"
            )
            self._note(m, "write", at, me, block)
            self.line.reshape(-1)[at] = line
            other = self.who["write"].reshape(-1)[at] != me
            if other.any() and not isinstance(value, list):
                self._same_value(m, line, memory, at, lanes, value, other)

    def atomic(self, m: Machine, line: int, memory: Any, index: Array, size: int) -> None:
        """Note an atomic update; fault where another thread reads or writes without a barrier between."""
        for at, me, block, lanes in self._places(m, memory, index, size):
            self._conflict(m, line, memory, at, me, block, lanes, "write", "updates what {} wrote")
            self._conflict(m, line, memory, at, me, block, lanes, "read", "updates what {} reads")
            self._note(m, "atomic", at, me, block)
            self.line.reshape(-1)[at] = line

    def _places(self, m: Machine, memory: Any, index: Array, size: int) -> Any:
        """For each grain of an access: flat places, threads, blocks, and the lanes at work.

        In shared memory a thread is known by its number in the block, since each block has its own row;
        in global memory by its number in the grid.
        """
        m.clock += 1
        rows = 1
        if self.shared:
            rows = max(
                len(self.time["read"]), len(m.mask.lanes), len(index) if index.ndim else 1,
                len(m.block_sync), len(m.warp_sync),
            )  # fmt: skip
            if rows > len(self.time["read"]):
                self.line = np.repeat(self.line, rows, axis=0)
                for table in (self.time, self.who):
                    for kind in KINDS:
                        table[kind] = np.repeat(table[kind], rows, axis=0)
        block_rows = rows if self.shared else m.blocks
        shape = (block_rows, m.padded)
        lanes = np.broadcast_to(m.mask.lanes, shape)
        block = np.broadcast_to(np.arange(block_rows)[:, None], shape)[lanes]
        me = np.broadcast_to(np.arange(m.padded), shape)[lanes]
        if not self.shared:
            me = me + (m.first_block + block) * m.padded
        row = (np.arange(rows) * self.time["read"].shape[1])[:, None]
        count = max(1, size // memory.grain)
        start = index * count if size >= memory.grain else index * size // memory.grain
        for k in range(count):
            yield np.broadcast_to(start + k + row, shape)[lanes], me, block, lanes

    def _conflict(
        self, m: Machine, line: int, memory: Any, at: Array, me: Array, block: Array, lanes: Array,
        kind: str, what: str,
    ) -> None:  # fmt: skip
        if self.last[kind] <= (m.block_sync.min() if self.shared else -1):
            return  # nothing of that kind since the last barrier
        who = self.who[kind].reshape(-1)[at]
        time = self.time[kind].reshape(-1)[at]
        bad = (time > self._ordered_until(m, who, me, block)) & (who != me)
        if not bad.any():
            return
        i = int(np.argmax(bad))
        where = np.zeros(lanes.shape, bool)
        where[lanes] = bad
        full = np.zeros(m.shape, bool)
        full[: len(where)] = where
        grains = self.time["read"].shape[1]
        problem = what.format(self._describe(m, int(who[i]), int(me[i])))
        cure = "is a __syncthreads() missing?" if self.shared else "no barrier orders blocks"
        if ((who >= 0) & (who // WARP == me // WARP))[bad].all():
            cure = "is a __syncwarp() missing?"
        m.fault(
            DataRace, line, f"race on {memory.name}[{int(at[i]) % grains}]: {problem}; {cure}", full
        )

    @staticmethod
    def _ordered_until(m: Machine, who: Array, me: Array, block: Array) -> Array:
        """Time up to which what `who` did lies behind a barrier for `me`."""
        warps = m.padded // WARP
        mine = me // WARP
        same_block = block_of(who, warps) == mine // warps
        until = np.where(same_block, _at(m.block_sync, block), -1)
        own = m.warp_sync[block if len(m.warp_sync) > 1 else 0, mine % warps]
        until = np.where(warp_of(who) == mine, np.maximum(until, own), until)
        return np.where(same_block, until, m.clock) if m.fenced else until

    def _note(self, m: Machine, kind: str, at: Array, me: Array, block: Array) -> None:
        """Remember users: one thread, several of a warp, several warps of a block, several blocks."""
        self.last[kind] = m.clock
        time, who = self.time[kind].reshape(-1), self.who[kind].reshape(-1)
        warps = m.padded // WARP
        warp, home = me // WARP, me // m.padded
        open_ = time[at] > (_at(m.block_sync, block) if self.shared else -1)
        old = np.where(open_, who[at], me)
        level = np.where(block_of(old, warps) == home, 2, 3)  # how far apart old and new user are
        level = np.where(warp_of(old) == warp, 1, level)
        level = np.where(old == me, 0, level)
        for depth, mine in enumerate(
            (me, warp, home), start=1
        ):  # and the new ones among each other
            who[at] = mine
            level = np.maximum(level, np.where(who[at] != mine, depth, 0))
        widest = np.zeros(len(who), np.int64)
        np.maximum.at(widest, at, level)
        who[at] = np.choose(widest[at], [me, -2 - warp, _BLOCKS - home, np.full(len(me), EVERYONE)])
        time[at] = m.clock

    def _same_value(
        self, m: Machine, line: int, memory: Any, at: Array, lanes: Array, value: Any, other: Array
    ) -> None:
        """Several lanes write one place in one instruction: harmless only with equal values."""
        values = m.spread(value)
        values = values[:, lanes[0]] if len(lanes) == 1 else values[lanes][None]
        order = np.argsort(at, kind="stable")
        same = at[order][1:] == at[order][:-1]
        values = values[:, order]
        one, next_ = values[:, :-1], values[:, 1:]
        if not (same & (one != next_) & ((one == one) | (next_ == next_))).any():  # NaN is NaN
            return
        where = np.zeros(m.shape, bool)
        where[: len(lanes)][lanes] = other
        i = int(at[np.argmax(other)]) % self.time["read"].shape[1]
        m.fault(
            DataRace, line,
            f"race on {memory.name}[{i}]: several threads write different values at once", where,
        )  # fmt: skip

    def _describe(self, m: Machine, who: int, me: int) -> str:
        if who < 0:
            return "several other threads"
        x, y, _ = m.block
        t = who % m.padded
        thread = (t % x, t // x % y, t // (x * y))
        if self.shared or who // m.padded == me // m.padded:
            return f"thread {thread}"
        return f"thread {thread} of block number {who // m.padded}"


def _at(sync: Array, block: Array) -> Array:
    """A time for each access, from one for all blocks or one for each."""
    return sync[block] if len(sync) > 1 else np.broadcast_to(sync, block.shape)
