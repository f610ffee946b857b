"""Global, shared and local memory: bounds, initialisation, traffic, and the loads and stores."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lmbook.gpu.errors import OutOfBounds, UninitialisedRead
from lmbook.gpu.simulator.counters import SECTOR
from lmbook.gpu.simulator.machine import Machine
from lmbook.gpu.simulator.races import Shadow
from lmbook.gpu.simulator.traffic import sectors, wavefronts
from lmbook.gpu.simulator.types import Scalar, Vector

Array = np.ndarray


class Memory:
    """An array in global memory, of one row, or in shared memory, of one row a block.

    `base` is the address of its first byte, of which only the place within a sector matters.
    """

    def __init__(self, name: str, space: str, data: Array, grain: int, base: int = 0) -> None:
        self.name, self.space, self.data, self.grain, self.base = name, space, data, grain, base
        self.bytes = data.shape[1]
        self.views: dict[np.dtype, Array] = {}
        self.touched = np.zeros((2, (base + self.bytes) // SECTOR + 1), bool)  # by loads, by stores
        self.shadow: Shadow | None = None
        self.written = np.full((1, self.bytes // grain), space != "shared")
        self.all_written = space != "shared"

    def view(self, dtype: np.dtype) -> Array:
        """The bytes as numbers, of shape (rows, numbers)."""
        if dtype not in self.views:
            whole = self.bytes // dtype.itemsize * dtype.itemsize
            self.views[dtype] = self.data[:, :whole].view(dtype)
        return self.views[dtype]

    def gather(self, dtype: np.dtype, index: Array) -> Any:
        """The elements at `index`, one for each lane."""
        view = self.view(dtype)
        if self.space == "global":
            return view[0].take(index)
        if index.ndim == 0:
            return view[:, index : index + 1]
        if len(index) == 1:
            return view.take(index[0], axis=1)
        return view.reshape(-1).take(index + _rows(view))

    def scatter(self, m: Machine, dtype: np.dtype, index: Array, value: Any) -> None:
        """Write the lanes at work; of several at one place the last one stays."""
        view, mask = self.view(dtype), m.mask
        if self.space == "shared" and index.ndim == 2 and len(index) == len(mask.lanes) == 1:
            value = np.broadcast_to(value, (len(view), m.padded))
            where = np.broadcast_to(index[0], m.padded)
            if mask.full:
                view[:, where] = value
            else:
                lanes = np.broadcast_to(mask.lanes[0], m.padded)
                view[:, where[lanes]] = value[:, lanes]
            return
        if self.space == "shared" and index.ndim == 2 and len(index) == mask.lanes.shape[1] == 1:
            rows = np.flatnonzero(mask.lanes[:, 0])  # whole blocks work or rest
            value = np.broadcast_to(value, (len(view), m.padded))
            view[rows[:, None], np.broadcast_to(index[0], m.padded)] = value[rows]
            return
        if self.space == "shared":
            index = index + _rows(view)
        flat = view.reshape(-1)
        if mask.full:
            flat[m.spread(index)] = value
        else:
            lanes = mask.spread()
            flat[m.spread(index)[lanes]] = m.spread(value)[lanes]

    def mark_written(self, m: Machine, index: Array, count: int) -> None:
        """Remember that `count` grains from `index` hold a value, for each lane at work."""
        mask = m.mask
        rows = max(len(self.written), len(mask.lanes), len(index) if index.ndim else 1)
        if rows > len(self.written):
            self.written = np.repeat(self.written, rows, axis=0)
        shape = (rows, m.padded)
        lanes = np.broadcast_to(mask.lanes, shape)
        at = (np.broadcast_to(index * count, shape) + _rows(self.written))[lanes]
        flat = self.written.reshape(-1)
        for k in range(count):
            flat[at + k] = True
        self.all_written = bool(flat.all())

    def check_written(self, m: Machine, line: int, index: Array, count: int) -> None:
        """Fault where a lane reads an element of shared memory that nobody has written."""
        at = index * count
        for k in range(count):
            if index.ndim:
                ok = self.written.reshape(-1).take(at + k + _rows(self.written))
            else:
                ok = self.written[:, at + k : at + k + 1]
            bad = ~ok & m.mask.lanes
            if bad.any():
                i = int(m.spread(at + k)[m.spread(bad)][0])
                m.fault(
                    UninitialisedRead, line,
                    f"reads {self.name}[{i}] in shared memory, which nothing was written to", bad,
                )  # fmt: skip


def _rows(view: Array) -> Array:
    """What to add to an index of each block to count through all rows."""
    return (np.arange(len(view)) * view.shape[1])[:, None]


class Address(NamedTuple):
    """A place in memory: `index` counts elements of the pointer's type."""

    memory: Any
    index: Any

    def moved(self, by: Any) -> Address:
        """The address `by` elements further on."""
        return Address(self.memory, self.index + by)


def retyped(m: Machine, line: int, a: Address, old: int, new: int) -> Address:
    """The same address as a pointer to elements of `new` bytes in place of `old`."""
    if not isinstance(a.memory, Memory) or old == new:
        return a
    index = np.asarray(a.index)
    if new < old:
        return Address(a.memory, index * (old // new))
    odd = (index * old + a.memory.base) % new != 0
    if (m.mask.lanes & odd).any():
        m.fault(
            OutOfBounds, line,
            f"the address of {a.memory.name} is no multiple of {new} bytes, as its type needs", odd,
        )  # fmt: skip
    return Address(a.memory, index * old // new)


def locate(m: Machine, line: int, a: Address, t: Scalar | Vector, verb: str) -> Array:
    """The index of an access, within bounds for every lane."""
    memory, index = a.memory, np.asarray(a.index)
    size = memory.bytes // t.size
    if index.min(initial=0) >= 0 and index.max(initial=0) < size:
        return index
    index = np.where(m.mask.lanes, index, 0)
    bad = (index < 0) | (index >= size)
    if bad.any():
        i = int(m.spread(index)[m.spread(bad)][0])
        m.fault(
            OutOfBounds, line,
            f"{verb} {memory.name}[{i}], but {memory.name} has {size} elements of type {t}", bad,
        )  # fmt: skip
    return index


def numbers(t: Scalar | Vector) -> tuple[np.dtype, int]:
    """NumPy's type of an element's numbers, and how many it has."""
    return (t.of.dtype, t.lanes) if isinstance(t, Vector) else (t.dtype, 1)


def account(m: Machine, line: int, memory: Memory, index: Array, size: int, store: bool) -> None:
    """Add a request of every working warp to the counters."""
    if m.watch is not None:
        m.watch.note(m, line, memory, index, size, store)
    counts, mask = m.lines[line], m.mask
    counts.operations += mask.warps
    counts.threads += mask.count
    if memory.space == "shared":
        waves, least = wavefronts(mask, index, size, store)
        if store:
            counts.shared_stores += mask.warps
            counts.shared_store_wavefronts += waves
            counts.shared_store_ideal += least
        else:
            counts.shared_loads += mask.warps
            counts.shared_load_wavefronts += waves
            counts.shared_load_ideal += least
        return
    moved = sectors(mask, index * size + memory.base, memory.touched[int(store)])
    if store:
        counts.store_requests += mask.warps
        counts.store_sectors += moved
        counts.store_bytes += mask.count * size
    else:
        counts.load_requests += mask.warps
        counts.load_sectors += moved
        counts.load_bytes += mask.count * size


def load(m: Machine, line: int, a: Address, t: Scalar | Vector) -> Any:
    """The values at an address: an array, or a list of arrays for a vector type."""
    if isinstance(a.memory, list):
        return load_local(m, line, a)
    memory = a.memory
    index = locate(m, line, a, t, "reads")
    account(m, line, memory, index, t.size, store=False)
    if not memory.all_written:
        memory.check_written(m, line, index, max(1, t.size // memory.grain))
    if memory.shadow is not None:
        memory.shadow.read(m, line, memory, index, t.size)
    dtype, n = numbers(t)
    if n == 1:
        return memory.gather(dtype, index)
    return [memory.gather(dtype, index * n + k) for k in range(n)]


def store(m: Machine, line: int, a: Address, t: Scalar | Vector, value: Any) -> None:
    """Write values of lanes at work to an address."""
    if isinstance(a.memory, list):
        return store_local(m, line, a, value)
    memory = a.memory
    index = locate(m, line, a, t, "writes")
    account(m, line, memory, index, t.size, store=True)
    if memory.shadow is not None:
        memory.shadow.write(m, line, memory, index, t.size, value)
    dtype, n = numbers(t)
    if n == 1:
        memory.scatter(m, dtype, index, value)
    else:
        for k in range(n):
            memory.scatter(m, dtype, index * n + k, value[k])
    if not memory.all_written:
        memory.mark_written(m, index, max(1, t.size // memory.grain))
    return None


# --- local arrays: a list of registers


def merge(m: Machine, new: Any, old: Any) -> Any:
    """`new` for the lanes at work, `old` for the others."""
    if m.mask.full or old is None:
        return new
    if isinstance(new, list):
        return [np.where(m.mask.lanes, n, o) for n, o in zip(new, old)]
    return np.where(m.mask.lanes, new, old)


def _choices(m: Machine, line: int, a: Address) -> list[tuple[int, Any]]:
    """Which element each lane means: pairs of element and lanes (True for all)."""
    size = len(a.memory)
    index = np.asarray(a.index)
    bad = m.mask.lanes & ((index < 0) | (index >= size))
    if bad.any():
        i = int(m.spread(index)[m.spread(bad)][0])
        m.fault(OutOfBounds, line, f"uses element {i} of a local array of {size}", bad)
    if index.ndim == 0:
        return [(int(index), True)]
    m.lines[line].local_accesses += m.mask.count
    found = np.unique(np.where(m.mask.lanes, index, -1))
    return [(int(i), index == i) for i in found if i >= 0]


def load_local(m: Machine, line: int, a: Address) -> Any:
    """An element of a local array for each lane; an unwritten one is a fault."""
    out = None
    for i, lanes in _choices(m, line, a):
        value = a.memory[i]
        if value is None:
            m.fault(UninitialisedRead, line, f"element {i} of a local array has no value yet", True)
        if lanes is True or out is None:
            out = value
        elif isinstance(value, list):
            out = [np.where(lanes, v, o) for v, o in zip(value, out)]
        else:
            out = np.where(lanes, value, out)
    return out


def store_local(m: Machine, line: int, a: Address, value: Any) -> None:
    """Write an element of a local array in each lane at work."""
    mask = m.mask
    for i, lanes in _choices(m, line, a):
        if lanes is not True:
            m.mask = mask.both(lanes)
        a.memory[i] = merge(m, value, a.memory[i])
        m.mask = mask
