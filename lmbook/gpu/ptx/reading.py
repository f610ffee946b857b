"""PTX as a list of instructions. Source: NVIDIA, Parallel Thread Execution ISA."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Instruction:
    """`@guard opcode operands;` and the line of the CUDA source it comes from."""

    opcode: tuple[str, ...]
    operands: tuple[str, ...]
    line: int
    guard: str = ""
    negated: bool = False


@dataclass
class Entry:
    """A kernel: parameters as (type, name), shared arrays as offsets, code, and labels in it."""

    name: str
    parameters: list[tuple[str, str]]
    shared: dict[str, int] = field(default_factory=dict)
    shared_bytes: int = 0
    code: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)


_ENTRY = re.compile(r"\.entry (\w+)\((.*?)\)(.*?)\n\{(.*?)\n\}", re.DOTALL)
_PARAMETER = re.compile(r"\.param\s+(?:\.align \d+ )?\.(\w+)[^,\n]*?(\w+)\s*(?:,|$)", re.MULTILINE)
_SHARED = re.compile(r"\.shared\s+\.align (\d+) \.b8 (\w+)\[(\d+)\]")
_DYNAMIC = re.compile(r"\.extern\s+\.shared\s+\.align \d+ \.b8 (\w+)\[\]")
_CODE = re.compile(r"(?:@(!?)(%p\d+)\s+)?([a-z][\w.]*)\s*(.*?);")


def read(text: str) -> dict[str, Entry]:
    """All kernels of a PTX file."""
    dynamic = _DYNAMIC.findall(text)
    found = {}
    for name, parameters, _, body in _ENTRY.findall(text):
        entry = Entry(name, _PARAMETER.findall(parameters))
        for align, array, size in _SHARED.findall(body):
            start = -(-entry.shared_bytes // int(align)) * int(align)
            entry.shared[array] = start
            entry.shared_bytes = start + int(size)
        start = -(-entry.shared_bytes // 16) * 16
        for array in dynamic:  # dynamic shared memory begins after all that is declared
            entry.shared[array] = start
        if dynamic:
            entry.shared_bytes = start
        _read_body(entry, body)
        found[name] = entry
    return found


def _read_body(entry: Entry, body: str) -> None:
    line = 0
    for raw in body.split("\n"):
        text = raw.partition("//")[0].strip()
        label = re.match(r"(\$?\w+):", text)
        if label:
            entry.labels[label[1]] = len(entry.code)
            text = text[label.end() :].strip()
        place = re.match(r"\.loc\s+\d+ (\d+)", text)
        if place:
            line = int(place[1])
        if not text or text[0] in ".{}":
            continue
        code = _CODE.match(text)
        if code is None:
            raise ValueError(f"PTX of {entry.name}: cannot read {text!r}")
        operands = tuple(o.strip() for o in re.split(r",(?![^{\[]*[}\]])", code[4]) if o.strip())
        entry.code.append(
            Instruction(tuple(code[3].split(".")), operands, line, code[2] or "", code[1] == "!")
        )
