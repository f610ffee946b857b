"""Executes PTX for all lanes of many blocks at once; lanes whose paths part are run in turn.

The lanes that stand at the lowest instruction go first, up to where others wait: so paths that parted meet
again.
Counters of memory are worked out by the same rules as the simulator's, from the addresses that the
compiled code uses.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from lmbook.gpu.errors import OutOfBounds
from lmbook.gpu.ptx.arithmetic import TYPES, as_type, compute, convert, shuffled_lane
from lmbook.gpu.ptx.reading import Entry, Instruction, read
from lmbook.gpu.report import Report
from lmbook.gpu.simulator.atomics import serially
from lmbook.gpu.simulator.counters import SECTOR
from lmbook.gpu.simulator.launch import Traffic, misalignment
from lmbook.gpu.simulator.machine import Machine, Triple
from lmbook.gpu.simulator.masks import WARP, Mask
from lmbook.gpu.simulator.traffic import sectors, wavefronts

Array = np.ndarray
_LANE = np.arange(WARP)
_STEP_LIMIT = 2_000_000


def run(
    ptx: str, kernel: str, grid: Triple, block: Triple, args: Sequence[Any], shared_mem: int = 0,
    source: str = "", batch_lanes: int = 1 << 15,
) -> Report:  # fmt: skip
    """Run a kernel of a PTX text on NumPy arrays, in place; return what was counted.

    `args` must have the types of the kernel's signature. `source` is the CUDA text, for the listing.
    """
    entries = read(ptx)
    if kernel not in entries:
        raise ValueError(f"the PTX has no kernel {kernel}; it has {', '.join(entries)}")
    r = Runner(entries[kernel], grid, block, args, shared_mem, source)
    total, step = int(np.prod(grid)), max(1, batch_lanes // r.padded)
    with np.errstate(all="ignore"):
        for first in range(0, total, step):
            r.begin(first, min(step, total - first))
            r.execute()
    traffic = r.finish()
    return Report(
        kernel, r.source, grid, block, r.lines, traffic, r.entry.shared_bytes + shared_mem
    )


class Runner(Machine):
    """One launch. Global arrays lie in one arena of bytes, shared ones in a row a block."""

    def __init__(
        self, entry: Entry, grid: Triple, block: Triple, args: Sequence[Any], shared_mem: int, source: str
    ) -> None:  # fmt: skip
        last = max([i.line for i in entry.code], default=0)
        lines = source.split("\n") if source else [""] * last
        super().__init__(entry.name, lines, grid, block, 0, False, _STEP_LIMIT)
        self.entry, self.code, self.shared_mem = entry, entry.code, shared_mem
        self.parameters: dict[str, Any] = {}
        self.buffers: list[tuple[str, int, Array]] = []
        top = 4096
        for (kind, name), a in zip(entry.parameters, args, strict=True):
            if isinstance(a, np.ndarray):
                base = top + misalignment(a)
                self.buffers.append((name, base, a))
                self.parameters[name] = np.uint64(base)
                top = -(-(base + a.nbytes) // 256) * 256 + 256
            else:
                self.parameters[name] = as_type(np.asarray(a)[()], TYPES[kind])
        self.arena = np.zeros(top + 64, np.uint8)
        self.valid = np.zeros(top + 64, bool)
        for _, base, a in self.buffers:
            self.arena[base : base + a.nbytes] = a.reshape(-1).view(np.uint8)
            self.valid[base : base + a.nbytes] = True
        self.touched = np.zeros((2, len(self.arena) // SECTOR + 1), bool)

    def finish(self) -> list[Traffic]:
        """Copy the arrays back; bytes touched of each."""
        traffic = []
        for name, base, a in self.buffers:
            a.reshape(-1).view(np.uint8)[:] = self.arena[base : base + a.nbytes]
            span = slice(base // SECTOR, (base + a.nbytes - 1) // SECTOR + 1)
            counts = [SECTOR * int(np.count_nonzero(t[span])) for t in self.touched]
            traffic.append(Traffic(name, *counts))
        return traffic

    # --- control

    def execute(self) -> None:
        """Run a batch until every lane has returned."""
        end = len(self.code)
        self.values: dict[str, Any] = {}
        width = -(-(self.entry.shared_bytes + self.shared_mem) // 16) * 16 + 16
        self.shared_arena = np.zeros((self.blocks, width), np.uint8)
        self.pc = np.where(np.arange(self.padded) < self.threads, 0, end) + np.zeros(
            self.shape, int
        )
        waiting = np.zeros(self.shape, bool)
        for _ in range(_STEP_LIMIT):
            at = int(np.where(waiting, end, self.pc).min())
            if at >= end:
                if not waiting.any():
                    return
                self._release(waiting)
                continue
            lanes = (self.pc == at) & ~waiting
            others = int(np.where(lanes | waiting, end, self.pc).min())
            self.mask = Mask(lanes[:1] if (lanes == lanes[:1]).all() else lanes, self.shape)
            self._straight(at, others, end, waiting)
        raise RuntimeError(f"{self.kernel}: the PTX does not end within {_STEP_LIMIT} branches")

    def _release(self, waiting: Array) -> None:
        """All lanes stand at the barrier or have left: let them go on."""
        part = waiting.any(axis=1) & (waiting != (self.pc < len(self.code))).any(axis=1)
        if part.any():
            raise RuntimeError(f"{self.kernel}: a barrier is not reached by all threads of a block")
        waiting[:] = False

    def _straight(self, at: int, others: int, end: int, waiting: Array) -> None:
        """Run instructions until a branch, a barrier, the end, or a place where others wait."""
        lanes = self.mask.spread()
        while True:
            i = self.code[at]
            name = i.opcode[0]
            self.charge(i.line, 1, 0)
            if name == "bra":
                self._branch(i, at, lanes)
                return
            if name in ("ret", "exit") and not i.guard:
                self.pc[lanes] = end
                return
            if name in ("bar", "barrier") and "warp" not in i.opcode:
                self.lines[i.line].barriers += self.mask.warps
                waiting |= lanes
                self.pc[lanes] = at + 1
                return
            self._step(i)
            at += 1
            if at >= others or at >= end:
                self.pc[lanes] = at
                return

    def _branch(self, i: Instruction, at: int, lanes: Array) -> None:
        target = self.entry.labels[i.operands[0]]
        self.lines[i.line].branches += self.mask.warps
        if not i.guard:
            self.pc[lanes] = target
            return
        test = self.spread(self.values[i.guard]) ^ i.negated
        taken, rest = lanes & test, lanes & ~test
        rows = [x.reshape(self.blocks, -1, WARP).any(axis=2) for x in (taken, rest)]
        self.lines[i.line].divergent += int(np.count_nonzero(rows[0] & rows[1]))
        self.pc[taken], self.pc[rest] = target, at + 1

    # --- single instructions

    def _step(self, i: Instruction) -> None:
        if not i.guard:
            return self._carry_out(i)
        before = self.mask
        self.mask = before.both(self.values[i.guard] ^ np.bool_(i.negated))
        if self.mask.count:
            self._carry_out(i)
        self.mask = before
        return None

    def _carry_out(self, i: Instruction) -> None:
        op, operands = i.opcode, i.operands
        name = op[0]
        if name in ("ld", "st", "atom", "red"):
            if op[1] == "param":
                return self.put(
                    operands[0], as_type(self.parameters[operands[1].strip("[]")], TYPES[op[-1]])
                )
            return self._memory(i)
        if name in ("shfl", "vote", "activemask"):
            return self._warp(i)
        if name in ("membar", "fence", "bar"):
            return None
        if name == "cvt":
            return self.put(operands[0], convert(op, self.get(operands[1], TYPES[op[-1]])))
        if name in ("mov", "cvta"):
            return self.put(operands[0], self.get(operands[1], TYPES[op[-1]]))
        code = TYPES[op[-1]]
        types = [code] * (len(operands) - 1)
        if name == "selp":
            types[2] = "?"
        elif name in ("shl", "shr"):
            types[1] = "u4"
        elif name == "mad" and "wide" in op:
            types[2] = {"i4": "i8", "u4": "u8"}[code]
        values = [self.get(o, t) for o, t in zip(operands[1:], types)]
        if code[0] == "f" and name in ("add", "sub", "mul", "fma", "div"):
            self.lines[i.line].flops += self.mask.count * (2 if name == "fma" else 1)
        self.put(operands[0], compute(op, values))
        return None

    def get(self, operand: str, code: str) -> Any:
        """An operand as a type: a register, a number, a special register or a shared array."""
        if operand in self.values:
            return as_type(self.values[operand], code)
        if operand.startswith("%"):
            return as_type(self._special(operand[1:]), code)
        if operand.startswith("0f"):
            return as_type(np.float32(struct.unpack(">f", bytes.fromhex(operand[2:]))[0]), code)
        if operand in self.entry.shared:
            return np.dtype(code).type(self.entry.shared[operand])
        value, dtype = int(operand, 0), np.dtype(code)
        if dtype.kind in "iu":
            bits = value & (1 << 8 * dtype.itemsize) - 1
            return np.array(bits, dtype=f"u{dtype.itemsize}").view(dtype)[()]
        return dtype.type(value)

    def _special(self, name: str) -> Any:
        if name == "laneid":
            return (np.arange(self.padded) % WARP).astype(np.uint32)[None]
        register, _, axis = name.partition(".")
        known = {"tid": "threadIdx", "ctaid": "blockIdx", "ntid": "blockDim", "nctaid": "gridDim"}
        if register not in known:
            raise NotImplementedError(f"the PTX runner does not know the register %{name}")
        return self.special[f"{known[register]}.{axis}"]

    def put(self, register: str, value: Any) -> None:
        """Write a register for the lanes at work."""
        old = self.values.get(register)
        if old is None or self.mask.full:
            self.values[register] = value
        else:
            self.values[register] = np.where(
                self.mask.lanes, value, as_type(old, value.dtype.str[1:])
            )

    def _warp(self, i: Instruction) -> None:
        self.lines[i.line].shuffles += self.mask.warps
        if i.opcode[0] != "shfl":
            raise NotImplementedError(f"the PTX runner does not know {'.'.join(i.opcode)}")
        target = i.operands[0].split("|")[0]
        v, b, c = (self.get(o, t) for o, t in zip(i.operands[1:4], ("u4", "i4", "i4")))
        rows = self.spread(v).reshape(self.blocks, -1, WARP)
        b, c = (x if np.ndim(x) == 0 else self.spread(x).reshape(rows.shape) for x in (b, c))
        lane = np.broadcast_to(shuffled_lane(i.opcode[2], _LANE, b, c), rows.shape)
        self.put(target, np.take_along_axis(rows, lane, axis=2).reshape(self.shape))

    # --- memory

    def _memory(self, i: Instruction) -> None:
        op, name = i.opcode, i.opcode[0]
        place = i.operands[0] if name in ("st", "red") else i.operands[1]
        base, _, offset = place.strip("[]").partition("+")
        address = self.get(base, "i8" if base in self.values else "u8").astype(np.int64) + int(
            offset or 0
        )
        count = next((int(p[1]) for p in op if p in ("v2", "v4")), 1)
        code = TYPES[op[-1]]
        size = np.dtype(code).itemsize * count
        shared = op[1] == "shared"
        if not shared and op[1] != "global":
            raise NotImplementedError(f"the PTX runner does not know {'.'.join(op)}")
        address = self._checked(i, address, size, shared)
        self._account(i, address, size, shared)
        flat = (self.shared_arena if shared else self.arena).reshape(-1).view(code)
        where = (
            address + (np.arange(self.blocks) * self.shared_arena.shape[1])[:, None]
            if shared
            else address
        )
        where = where // np.dtype(code).itemsize
        lanes = self.mask.spread()
        if name == "ld":
            registers = i.operands[0].strip("{}").split(",")
            for k, register in enumerate(registers):
                self.put(register.strip(), flat[where + k])
        elif name == "st":
            for k, operand in enumerate(i.operands[1].strip("{}").split(",")):
                value = self.spread(self.get(operand.strip(), code))
                flat[self.spread(where + k)[lanes]] = value[lanes]
        else:
            how = {"add": "atomicAdd", "max": "atomicMax", "min": "atomicMin", "or": "atomicOr"}[
                op[2]
            ]
            value = self.spread(self.get(i.operands[-1], code))[lanes]
            old = np.zeros(self.shape, code)
            old[lanes] = serially(flat, self.spread(where)[lanes], how, [value])
            if name == "atom":
                self.put(i.operands[0], old)

    def _checked(self, i: Instruction, address: Any, size: int, shared: bool) -> Any:
        """Addresses inside an array for all lanes at work; those of the others are replaced."""
        address = np.where(self.mask.lanes, address, -1)
        top = self.shared_arena.shape[1] if shared else len(self.arena)
        inside = (address >= 0) & (address + size <= top) & (address % size == 0)
        if not shared:
            inside &= (
                self.valid[np.clip(address, 0, top - 1)]
                & self.valid[np.clip(address + size - 1, 0, top - 1)]
            )
        bad = ~inside & self.mask.lanes
        if bad.any():
            self.fault(
                OutOfBounds, max(i.line, 1), f"{'.'.join(i.opcode)} outside every array", bad
            )
        return np.where(inside, address, 0)

    def _account(self, i: Instruction, address: Any, size: int, shared: bool) -> None:
        counts, mask, name = self.lines[i.line], self.mask, i.opcode[0]
        if shared and name in ("ld", "st"):
            waves, least = wavefronts(mask, address // size, size, name == "st")
            if name == "ld":
                counts.shared_loads += mask.warps
                counts.shared_load_wavefronts += waves
                counts.shared_load_ideal += least
            else:
                counts.shared_stores += mask.warps
                counts.shared_store_wavefronts += waves
                counts.shared_store_ideal += least
        elif name == "ld":
            counts.load_requests += mask.warps
            counts.load_sectors += sectors(mask, address, self.touched[0])
            counts.load_bytes += mask.count * size
        elif name == "st":
            counts.store_requests += mask.warps
            counts.store_sectors += sectors(mask, address, self.touched[1])
            counts.store_bytes += mask.count * size
        else:
            counts.atomic_requests += mask.warps
            counts.atomics += mask.count
            if not shared:
                counts.atomic_sectors += sectors(mask, address, self.touched[1])
                sectors(mask, address, self.touched[0])
