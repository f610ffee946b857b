"""Functions of a whole warp: shuffles, votes and barriers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lmbook.gpu.errors import SubsetError, UndefinedShuffle
from lmbook.gpu.simulator.machine import Machine
from lmbook.gpu.simulator.masks import WARP
from lmbook.gpu.simulator.operators import truth
from lmbook.gpu.simulator.types import INT, UINT, VOID, Scalar
from lmbook.gpu.simulator.values import Expr, convert, decay

Array = np.ndarray
_LANES = np.arange(WARP)
_BITS = np.uint32(1) << _LANES.astype(np.uint32)

SHUFFLES = {"__shfl_sync": "idx", "__shfl_up_sync": "up", "__shfl_down_sync": "down",
            "__shfl_xor_sync": "xor"}  # fmt: skip
VOTES = {"__ballot_sync", "__any_sync", "__all_sync"}
NAMES = {*SHUFFLES, *VOTES, "__activemask", "__syncwarp", "__syncthreads", "__threadfence",
         "__threadfence_block"}  # fmt: skip


def call(name: str, arguments: list[Expr], line: int) -> Expr:
    """A call of one of `NAMES`."""
    arguments = [decay(a) for a in arguments]
    if name == "__syncthreads":
        return Expr(VOID, lambda m: m.barrier(line), pure=False)
    if name in ("__threadfence", "__threadfence_block"):
        return Expr(VOID, fence, pure=False)
    if name == "__syncwarp":
        return Expr(VOID, lambda m: m.warp_barrier(line), pure=False)
    if name == "__activemask":
        return Expr(UINT, lambda m: ballot(m, True), 1, pure=False)
    least, most = (3, 4) if name in SHUFFLES else (2, 2)
    if not least <= len(arguments) <= most:
        raise SubsetError(line, f"{name} takes {least} arguments, the first is the mask of lanes")
    mask = convert(arguments[0], UINT, line)
    if name in VOTES:
        return vote(name, mask, truth(arguments[1], line), line)
    return shuffle(name, mask, arguments[1:], line)


def fence(m: Machine) -> None:
    """`__threadfence()`: from now on other blocks may read what this one wrote."""
    m.fenced = True


def participants(m: Machine, line: int, name: str, mask: Any) -> None:
    """Every lane here must be in `mask`, and every lane of `mask` that still runs must be here."""
    m.charge(line, 1, 0)
    m.lines[line].shuffles += m.mask.warps
    if np.ndim(mask) == 0 and mask == 0xFFFFFFFF and (m.mask is m.live or m.mask.full):
        return
    bits = (m.spread(mask) >> (np.arange(m.padded) % WARP).astype(np.uint32)) & 1 == 1
    here = m.mask.spread()
    if (here & ~bits).any():
        m.fault(
            UndefinedShuffle, line, f"{name} is called by a lane that its mask leaves out", ~bits
        )
    working = np.repeat(here.reshape(m.blocks, -1, WARP).any(axis=2), WARP, axis=1)
    absent = m.live.spread() & working & ~here
    named = np.where(here, m.spread(mask), 0).reshape(m.blocks, -1, WARP).max(axis=2)
    wanted = (
        np.repeat(named, WARP, axis=1) >> (np.arange(m.padded) % WARP).astype(np.uint32)
    ) & 1 == 1
    if (absent & wanted).any():
        m.fault(
            UndefinedShuffle, line,
            f"{name}: its mask names a lane that is not here; call it outside the branch, or narrow the mask",
            absent & wanted,
        )  # fmt: skip


def shuffle(name: str, mask: Expr, arguments: list[Expr], line: int) -> Expr:
    """`__shfl_*_sync(mask, value, lane, width)`: each lane takes the value of another one."""
    value, by = arguments[0], convert(arguments[1], INT, line)
    if not isinstance(value.type, Scalar):
        raise SubsetError(
            line, f"{name} moves numbers, not {value.type}", "shuffle .x and .y apart"
        )
    width = WARP
    if len(arguments) == 3:
        if arguments[2].const is None or int(arguments[2].const) not in (2, 4, 8, 16, 32):
            raise SubsetError(line, f"the width of {name} must be a constant 2, 4, 8, 16 or 32")
        width = int(arguments[2].const)
    source = _source(SHUFFLES[name], width)
    run_mask, run_value, run_by = mask.run, value.run, by.run

    def run(m: Machine) -> Any:
        participants(m, line, name, run_mask(m))
        v, d = run_value(m), run_by(m)
        if np.ndim(v) == 0 or v.shape[1] == 1:
            _check_source(m, line, name, source(_LANES, d if np.ndim(d) == 0 else 0))
            return v
        rows = v.reshape(len(v), -1, WARP)
        if np.ndim(d) == 0:
            lanes = source(_LANES, int(d))
            _check_source(m, line, name, lanes)
            return rows.take(lanes, axis=2).reshape(v.shape)
        d = np.broadcast_to(d, (len(d), m.padded))
        lanes = source(_LANES, d.reshape(len(d), -1, WARP))
        _check_source(m, line, name, lanes)
        n = max(len(rows), len(lanes))
        rows, lanes = (np.broadcast_to(x, (n, *x.shape[1:])) for x in (rows, lanes))
        return np.take_along_axis(rows, lanes, axis=2).reshape(n, m.padded)

    cost = mask.operations + value.operations + by.operations
    return Expr(value.type, run, cost, value.flops, None, False)


def _source(kind: str, width: int) -> Callable[[Array, Any], Array]:
    """From lane and argument to the lane that is read; outside its group a lane reads itself."""

    def source(lane: Array, d: Any) -> Array:
        start = lane // width * width
        if kind == "idx":
            return start + d % width
        wish = {"up": lane - d, "down": lane + d, "xor": lane ^ d}[kind]
        inside = (wish >= start) & (wish < start + width)
        return np.where(inside, wish, lane)

    return source


def _check_source(m: Machine, line: int, name: str, lanes: Array) -> None:
    """Reading from a lane that does not take part gives an undefined value."""
    if m.mask.full:
        return
    here = m.mask.spread().reshape(m.blocks, -1, WARP)
    there = np.take_along_axis(here, np.broadcast_to(lanes, here.shape), axis=2)
    bad = here & ~there
    if bad.any():
        m.fault(
            UndefinedShuffle, line, f"{name} reads from a lane that does not take part",
            bad.reshape(m.shape),
        )  # fmt: skip


def ballot(m: Machine, value: Any) -> Any:
    """One bit for each lane at work whose value is true."""
    rows = (m.mask.lanes & value) if np.ndim(value) else m.mask.lanes & bool(value)
    rows = np.broadcast_to(rows, (len(rows), m.padded)).reshape(len(rows), -1, WARP)
    bits = np.where(rows, _BITS, np.uint32(0)).sum(axis=2, dtype=np.uint32)
    return np.repeat(bits, WARP, axis=1)


def vote(name: str, mask: Expr, value: Expr, line: int) -> Expr:
    """`__ballot_sync`, `__any_sync` and `__all_sync`."""
    run_mask, run_value = mask.run, value.run

    def run(m: Machine) -> Any:
        participants(m, line, name, run_mask(m))
        bits = ballot(m, run_value(m))
        if name == "__ballot_sync":
            return bits
        everyone = ballot(m, True)
        return (bits != 0 if name == "__any_sync" else bits == everyone).astype(np.int32)

    t = UINT if name == "__ballot_sync" else INT
    return Expr(t, run, mask.operations + value.operations, value.flops, None, False)
