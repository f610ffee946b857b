"""The requests of one warp, one after another: which lane asks for which element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmbook.gpu.simulator.masks import WARP

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Request:
    """One memory instruction of one warp.

    `index` counts elements of `size` bytes from the start of the array `name`, shape (32,), -1 for a lane at
    rest; `base` is the array's first byte within its allocation. `space` is "global" or "shared".
    """

    line: int
    text: str
    name: str
    space: str
    store: bool
    size: int
    index: Array
    base: int = 0

    @property
    def address(self) -> Array:
        """The first byte of each lane, -1 for a lane at rest."""
        return np.where(self.index < 0, -1, self.base + self.size * self.index)


class Watch:
    """Keeps the requests of warp number `warp` of block number `block` of the grid."""

    def __init__(self, block: int, warp: int) -> None:
        self.block, self.warp = block, warp
        self.requests: list[Request] = []

    def note(self, m: Any, line: int, memory: Any, index: Array, size: int, store: bool) -> None:
        """Add the request that machine `m` is about to carry out, if the warp takes part in it."""
        row = self.block - m.first_block
        lanes = slice(WARP * self.warp, WARP * (self.warp + 1))
        if not 0 <= row < m.blocks:
            return
        working = m.mask.spread()[row, lanes]
        if not working.any():
            return
        where = np.where(working, m.spread(index)[row, lanes], -1).astype(np.int64)
        text = m.source[line - 1].strip()
        self.requests.append(
            Request(line, text, memory.name, memory.space, store, size, where, memory.base)
        )
