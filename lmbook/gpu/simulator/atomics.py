"""Atomic operations: lanes that hit one place do so one after the other, in the order of threads."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmbook.gpu.errors import SubsetError
from lmbook.gpu.simulator.machine import Machine
from lmbook.gpu.simulator.masks import WARP
from lmbook.gpu.simulator.memory import Memory, locate
from lmbook.gpu.simulator.traffic import sectors
from lmbook.gpu.simulator.types import Pointer, Scalar
from lmbook.gpu.simulator.values import Expr, convert, decay

Array = np.ndarray
UPDATES = {
    "atomicAdd": np.add, "atomicSub": np.subtract, "atomicMax": np.maximum, "atomicMin": np.minimum,
    "atomicAnd": np.bitwise_and, "atomicOr": np.bitwise_or, "atomicXor": np.bitwise_xor,
}  # fmt: skip
NAMES = {*UPDATES, "atomicExch", "atomicCAS"}


def call(name: str, arguments: list[Expr], line: int, used: bool = True) -> Expr:
    """`atomicAdd(address, value)` and its kin; each returns the value that was there before."""
    count = 3 if name == "atomicCAS" else 2
    if len(arguments) != count:
        raise SubsetError(line, f"{name} takes {count} arguments, an address first")
    address = decay(arguments[0])
    if not isinstance(address.type, Pointer) or not isinstance(address.type.to, Scalar):
        raise SubsetError(line, f"{name} needs the address of a number", "write &array[i]")
    if address.type.const:
        raise SubsetError(line, f"{name} writes through a pointer to const data")
    t = address.type.to
    if t.size < 4 or (t.floating and name not in ("atomicAdd", "atomicExch")):
        raise SubsetError(
            line, f"{name} does not exist for {t}", "use int, or a loop with atomicCAS"
        )
    values = [convert(a, t, line) for a in arguments[1:]]

    def run(m: Machine) -> Any:
        a = address.run(m)
        given = [v.run(m) for v in values]
        if not isinstance(a.memory, Memory):
            raise SubsetError(line, f"{name} on a local array is pointless", "use +=")
        index = locate(m, line, a, t, "updates")
        _account(m, line, a.memory, index, t.size)
        if a.memory.shadow is not None:
            a.memory.shadow.atomic(m, line, a.memory, index, t.size)
        if not a.memory.all_written:
            a.memory.check_written(m, line, index, 1)
        if not used and name in UPDATES:
            return add_up(m, name, a.memory, index, t, given[0])
        return apply(m, name, a.memory, index, t, given)

    cost = address.operations + sum(v.operations for v in values)
    flops = address.flops + sum(v.flops for v in values) + int(t.floating)
    return Expr(t, run, cost, flops, None, False)


def add_up(m: Machine, name: str, memory: Memory, index: Array, t: Scalar, value: Any) -> None:
    """Change memory where nobody asks for the old values."""
    lanes = m.mask.spread()
    flat = memory.view(t.dtype).reshape(-1)
    if memory.space == "shared":
        index = index + (np.arange(m.blocks) * memory.view(t.dtype).shape[1])[:, None]
    UPDATES[name].at(flat, m.spread(index)[lanes], m.spread(value)[lanes])


def apply(m: Machine, name: str, memory: Memory, index: Array, t: Scalar, given: list[Any]) -> Any:
    """Change memory and return the old values, of shape (blocks, threads)."""
    lanes = m.mask.spread()
    flat = memory.view(t.dtype).reshape(-1)
    if memory.space == "shared":
        index = index + (np.arange(m.blocks) * memory.view(t.dtype).shape[1])[:, None]
    at = m.spread(index)[lanes]
    values = [m.spread(v)[lanes] for v in given]
    out = np.zeros(m.shape, t.dtype)
    out[lanes] = serially(flat, at, name, values)
    return out


def serially(flat: Array, at: Array, name: str, values: list[Any]) -> Array:
    """Update `flat[at]` one lane after the other; return what each lane found there."""
    order = np.argsort(at, kind="stable")
    start = np.flatnonzero(np.diff(at[order], prepend=-1))
    turn = np.empty(len(at), np.intp)  # how many lanes come before at the same place
    turn[order] = np.arange(len(at)) - np.repeat(start, np.diff(start, append=len(at)))
    old = np.zeros(len(at), flat.dtype)
    by_turn = np.argsort(turn, kind="stable")
    bounds = np.cumsum(np.bincount(turn))
    for low, high in zip([0, *bounds[:-1]], bounds):
        now = by_turn[low:high]
        before = old[now] = flat[at[now]]
        new = values[-1][now]
        if name == "atomicCAS":
            new = np.where(before == values[0][now], new, before)
        elif name in UPDATES:
            new = UPDATES[name](before, new)
        flat[at[now]] = new
    return old


def _account(m: Machine, line: int, memory: Memory, index: Array, size: int) -> None:
    counts, mask = m.lines[line], m.mask
    counts.operations += mask.warps
    counts.threads += mask.count
    counts.atomic_requests += mask.warps
    counts.atomics += mask.count
    wanted = np.where(mask.spread(), m.spread(index), -1).reshape(-1, WARP)
    counts.atomic_serial += _longest_runs(np.sort(wanted, axis=1))
    if memory.space == "global":
        counts.atomic_sectors += sectors(mask, index * size + memory.base, memory.touched[1])
        sectors(mask, index * size + memory.base, memory.touched[0])


def _longest_runs(rows: Array) -> int:
    """Sum over sorted rows of the length of the longest run of one value; -1 does not count."""
    best = run = (rows[:, 0] >= 0).astype(np.intp)
    for k in range(1, rows.shape[1]):
        run = np.where((rows[:, k] == rows[:, k - 1]) & (rows[:, k] >= 0), run + 1, rows[:, k] >= 0)
        best = np.maximum(best, run)
    return int(best.sum())
