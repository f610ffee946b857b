"""What a warp's memory request costs: sectors of global memory, wavefronts of shared memory."""

from __future__ import annotations

import numpy as np

from lmbook.gpu.simulator.counters import SECTOR
from lmbook.gpu.simulator.masks import WARP, Mask

Array = np.ndarray
BANKS, WORD = 32, 4
_waves: dict[tuple[int, bytes], int] = {}


def groups(mask: Mask, x: Array, width: int = WARP) -> tuple[Array, int]:
    """Rows of `width` neighbouring lanes, only those with a lane at work, and how often each counts.

    `x` has shape (1 or blocks, threads). A lane at rest repeats the first of its row at work, so that it
    adds nothing. Where all blocks are alike one stands for all.
    """
    blocks, threads = mask.shape
    if mask.full:
        return x.reshape(-1, width), blocks // len(x)
    if mask.lanes.shape[1] == 1:  # whole blocks work or rest
        if len(x) == 1:
            return x.reshape(-1, width), mask.count // threads
        return x[np.broadcast_to(mask.lanes[:, 0], len(x))].reshape(-1, width), 1
    rows = max(len(x), len(mask.lanes))
    lanes = np.broadcast_to(mask.lanes, (rows, threads)).reshape(-1, width)
    x = np.broadcast_to(x, (rows, threads)).reshape(-1, width)
    working = lanes.any(axis=1)
    if not working.all():
        lanes, x = lanes[working], x[working]
    first = x[np.arange(len(x)), lanes.argmax(axis=1)]
    return np.where(lanes, x, first[:, None]), blocks // rows


def sectors(mask: Mask, address: Array, touched: Array | None) -> int:
    """Sectors that the requests of all warps move; marks them in `touched`.

    `address` holds bytes from the start of the array's memory, of a shape that broadcasts to
    (blocks, threads). No element straddles two sectors, since all are aligned.
    """
    sector = np.asarray(address) // SECTOR
    if sector.ndim == 0 or sector.shape[1] == 1:  # one address for a whole block, or for all
        if touched is not None:
            alive = np.any(mask.spread(), axis=1)
            touched[sector[:, 0][alive] if np.size(sector) > 1 else sector] = True
        return mask.warps
    rows, copies = groups(mask, sector)
    if touched is not None:
        touched[rows] = True
    step = np.diff(rows, axis=1)
    if (step < 0).any():
        step = np.diff(np.sort(rows, axis=1), axis=1)
    return (len(rows) + int(np.count_nonzero(step))) * copies


def wavefronts(mask: Mask, index: Array, size: int, store: bool = False) -> tuple[int, int]:
    """Passes over the banks that the requests of all warps need, and the least possible.

    `index` counts elements of `size` bytes. Words of 4 bytes lie in 32 banks in turn; lanes that want
    one word share it. 8 bytes a lane go by half warps and 16 bytes by quarters, but a load whose lanes
    want one address in pairs (lane i as lane i ^ 1 throughout the warp, or as lane i ^ 2) by twice as
    many lanes: whole warps and halves. NVIDIA's guide does not say so; an answer in its forum does for
    compute capability 7.0 to 7.5 (https://forums.developer.nvidia.com/t/77228), and profiles shown in
    another thread agree with it for 8.6 and 9.0 (https://forums.developer.nvidia.com/t/373160).
    """
    index = np.asarray(index)
    width = WARP if size <= WORD else WARP * WORD // size
    if index.ndim == 0 or index.shape[1] == 1:
        if width < WARP and not store:
            width *= 2
        least = mask.warps
        if width < WARP:
            least = int(np.count_nonzero(mask.spread().reshape(-1, width).any(axis=1)))
        return least, least
    if width < WARP and not store:
        pairs = in_pairs(mask, index)
        if pairs.all():
            width *= 2
        elif pairs.any():  # some warps so, others so
            lanes = np.repeat(pairs, WARP).reshape(-1, mask.shape[1])
            joined, others = mask.both(lanes), mask.both(~lanes)
            if joined.count:
                a, b = wavefronts(joined, index, size), wavefronts(others, index, size, True)
                return a[0] + b[0], a[1] + b[1]
    rows, copies = groups(mask, index, width)
    if size > WORD:
        per = size // WORD
        words = (rows[:, :, None] * per + np.arange(per)).reshape(len(rows), -1)
    else:
        words = rows * size // WORD
    shifted = words - words[:, :1]  # moving all words by as much turns the banks, no more
    if len(shifted) > 1 and (shifted == shifted[0]).all():
        copies *= len(shifted)
        shifted = shifted[:1]
    key = (shifted.shape[1], shifted.tobytes())
    if len(shifted) > BANKS or key not in _waves:
        found = _passes(shifted)
        if len(shifted) > BANKS:
            return found * copies, len(shifted) * copies
        if len(_waves) > 4096:
            _waves.clear()
        _waves[key] = found
    return _waves[key] * copies, len(shifted) * copies


def in_pairs(mask: Mask, index: Array) -> Array:
    """For each warp of (1 or blocks, warps) whether its lanes at work want one address in pairs.

    Lane i as lane i ^ 1, for all of them, or as lane i ^ 2. A lane at rest is as any other.
    """
    shape = (max(len(index), len(mask.lanes)), mask.shape[1])
    lanes = np.broadcast_to(mask.lanes, shape).reshape(-1, WARP)
    x = np.broadcast_to(index, shape).reshape(-1, WARP)
    found = np.zeros(len(x), bool)
    for step in (1, 2):
        other = np.arange(WARP) ^ step
        found |= ((x == x[:, other]) | ~lanes | ~lanes[:, other]).all(axis=1)
    return found.reshape(shape[0], -1)


def _passes(words: Array) -> int:
    """Sum over the rows of the most distinct words that one bank has to give."""
    words = words.astype(np.int64)  # also where NumPy's own integers have 32 bits, as in a browser
    bank = words % BANKS
    order = np.sort(bank * (1 << 40) + (words + (1 << 39)) % (1 << 40), axis=1)
    new = np.ones(order.shape, bool)
    new[:, 1:] = np.diff(order, axis=1) != 0
    rows = np.broadcast_to(np.arange(len(words))[:, None], order.shape)
    where = rows[new] * BANKS + order[new] // (1 << 40)
    return int(np.bincount(where, minlength=len(words) * BANKS).reshape(-1, BANKS).max(1).sum())
