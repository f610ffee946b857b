"""Planted bugs: every kernel of the ladder, changed in one place at a time, and what the checks say.

python tests/gpu/mutants.py            plant all bugs, and write mutants.csv
python tests/gpu/mutants.py KERNEL     plant those of one kernel, and renew its rows

A bug counts as caught if the simulator reports a fault, or the result differs from NumPy's, with a message
that names a line of the source. Bugs that change nothing are listed with the reason in EQUIVALENT, which is
the table's last column.
"""

from __future__ import annotations

import csv
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from agreement import inputs

from lmbook import gpu
from lmbook.gpu.kernels import LADDER, Rung

TABLE = Path(__file__).with_name("mutants.csv")

RULES: list[tuple[str, str, str]] = [  # kind, what is replaced, by what
    ("barrier removed", r"__syncthreads\(\);", ";"),
    ("off by one", r"(?<=[\w)\]]) < (?=[\w(])", " <= "),
    ("off by one", r" >= (?=\w)", " > "),
    ("guard dropped", r"if \((?:i|x|col|row|r|w|j|p) (?:<|>=) [^()&|?]*\)(?= return|;| [a-z])", "GUARD"),
    ("guard dropped", r"if \(v == -INFINITY\)(?= continue;)", "GUARD"),
    ("guard dropped", r" && (?:col|row|t \+ \w+|c|xx|yy|col0 \+ c|h|y) < \w+", ""),
    ("wrong stride", r"(?<=\w) \* (?:n|N|K|D|cols|rows|W|taps|pixels|d|S)(?= \+|\])", " * (1 + THAT)"),
    ("swapped indices", r"\[(threadIdx\.y|ty)\]\[(threadIdx\.x|tx)\]", r"[\2][\1]"),
    ("swapped indices", r"\[(k)\]\[(r|c|tx|tr \* TM|tc \* TN)\]", r"[\2][\1]"),
    ("swapped indices", r"blockIdx\.y(?= \*| \+|;|\))", "blockIdx.x"),
    ("wrong start", r"= 0\.0f(?=[;,}])", "= 1.0f"),
    ("wrong start", r"-INFINITY(?=[,;])", "0.0f"),
    ("wrong start", r"int (?:k|d|j|t|tap|c0|w) = (?:0|t|lane|threadIdx\.x|tid)(?=; )", "PLUS1"),
    ("shuffle dropped", r"__shfl_\w+_sync\(ALL, (\w+), \w+\)", r"\1"),
    ("shuffle distance", r"(?<=_sync\(ALL, )(\w+), (d|1|2|31)\)", r"\1, (\2) * 2 % 32)"),
    ("tree cut short", r"int d = 16", "int d = 8"),
    ("tree cut short", r"d >>= 1", "d >>= 2"),
    ("tree cut short", r"d \*= 2", "d *= 4"),
    ("operator", r" \+= (?=[^;]*\*)", " -= "),
    ("operator", r"fmaxf", "fminf"),
    ("one thread too many", r"if \((t|lane|part|t % 32|threadIdx\.x % 32) == 0\)", r"if (\1 <= 1)"),
    ("wrong lane", r"threadIdx\.x / 32", "threadIdx.x / 16"),
    ("wrong lane", r"% 32(?=;|,)", "% 16"),
    ("atomic replaced", r"atomicAdd\((&?)([^;]*\]|sum), ([^;]*)\);", "PLAIN"),
    ("wrong constant", r"(?<![\w.])(?:0\.5f|1\.0f)", "2.0f"),
    ("barrier moved up", r"(?<=\n)( *)([^\n;{}]*;)\n( *)__syncthreads\(\);", r"\1__syncthreads();\n\3\2"),
    ("barrier moved down", r"__syncthreads\(\);\n( *)([^\n;{}]*;)(?=\n)", r"\2\n\1__syncthreads();"),
]  # fmt: skip

_NO_LANE = "at that distance no lane has a partner: one round more that does nothing"
_EQUAL = "a butterfly leaves the same number in every lane, so both write the same"
_ZERO_TILE = "one tile more, which lies outside and is all zeros"
_SHIFT = "softmax does not change when a number is added to all scores"
_MASKED = "one tile more, whose keys all lie in the future"
_REGISTERS = "the barrier moves past what touches registers only"
_EARLIER = "in front of the step there is still one barrier between two levels"
_SAME = "two candidates never have the same index"
EQUIVALENT: dict[tuple[str, str], str] = {
    ("softmax3_online", "float top = -INFINITY, sum = 1.0f;"): "the first number scales it by exp(-inf)",
    ("softmax4_registers", "for (int k = 0; k <= HELD; ++k) {"): "a 33rd number lies beyond rows of 1024",
    ("layer_norm2_block", "if (threadIdx.x % 32 <= 1) partial[threadIdx.x / 32] = v;"): _EQUAL,
    ("matmul3_tiled", "for (int t = 0; t <= K; t += T) {"): _ZERO_TILE,
    ("matmul4_registers", "for (int t = 0; t <= K; t += BK) {"): _ZERO_TILE,
    ("matmul5_vectorised", "for (int t = 0; t <= K; t += BK) {"): _ZERO_TILE,
    ("matmul5_vectorised", "for (int i = tid; i <= BM * BK; i += 256) {"): "writes into a spare column",
    ("matmul6_double_buffered",
     "if (t + BK <= K) fetch(A, B, next_a, next_b, row0, col0, t + BK, M, N, K);"): "fetches, but never uses",
    ("matvec1_float32", "if (lane <= 1) y[r] = sum;"): _EQUAL,
    ("matvec2_int8", "if (lane <= 1) y[r] = sum * scale[r];"): _EQUAL,
    ("matvec3_int4", "if (lane <= 1) y[r] = sum;"): _EQUAL,
    ("matvec4_repacked", "if (lane <= 1) y[r] = sum;"): _EQUAL,
    ("matvec4_repacked", "for (int first = 0; first <= n; first += 256) {"): "one round more, for no word",
    ("scan1_hillis", "for (int d = 1; d <= THREADS; d *= 2) {"): _NO_LANE,
    ("scan2_blelloch", "for (int d = 1; d <= THREADS; d *= 2) {"): _NO_LANE,
    ("scan2_blelloch", "if (at <= THREADS) s[at] += s[at - d];"): "places are odd, so never 256",
    ("scan2_blelloch", "if (at <= THREADS) {"): "places are odd, so never 256",
    ("scan3_shuffle", "for (int d = 1; d <= 32; d *= 2) {"): _NO_LANE,
    ("scan3_shuffle", "for (int d = 1; d <= THREADS / 32; d *= 2) {"): _NO_LANE,
    ("scan4_totals", "for (int start = 0; start <= blocks; start += 32) {"): "one round more, without totals",
    ("scan4_totals", "for (int d = 1; d <= 32; d *= 2) {"): _NO_LANE,
    ("topk1_rounds", "if (other > v || (other == v && there <= at)) {"): _SAME,
    ("topk1_rounds", "if (t % 32 <= 1) {"): _EQUAL,
    ("topk1_rounds", "if (t <= 1) {"): _EQUAL,
    ("topk2_bitonic", "bool a_first = va > vb || (va == vb && ia <= ib);"): _SAME,
    ("attention1_scores", "float s = 1.0f;"): _SHIFT,
    ("attention2_flash",
     "for (int c0 = 0; c0 <= (int)(blockIdx.x + 1) * BR && c0 < S; c0 += BC) {"): _MASKED,
    ("attention2_flash",
     "for (int c0 = 0; c0 < (int)(blockIdx.x + 1) * BR && c0 <= S; c0 += BC) {"): _MASKED,
    ("attention2_flash", "float top = -INFINITY, sum = 1.0f;"): "the first tile scales it by exp(-inf)",
    ("attention2_flash", "if (part <= 1) L[base + row] = top + logf(sum);"): _EQUAL,
    ("attention3_delta", "if (lane <= 1) delta[row] = sum;"): _EQUAL,
    ("attention3_dq",
     "for (int c0 = 0; c0 <= (int)(blockIdx.x + 1) * BR && c0 < S; c0 += BC) {"): _MASKED,
    ("attention3_dq",
     "for (int c0 = 0; c0 < (int)(blockIdx.x + 1) * BR && c0 <= S; c0 += BC) {"): _MASKED,
    ("attention3_dkv", "for (int r0 = blockIdx.x * BC; r0 <= S; r0 += BR) {"): "one tile more, without rows",
    ("transpose2_tiled", "x = blockIdx.y * TILE + threadIdx.x;"): _REGISTERS,
    ("transpose3_padded", "x = blockIdx.y * TILE + threadIdx.x;"): _REGISTERS,
    ("transpose4_swizzled", "x = blockIdx.y * TILE + threadIdx.x;"): _REGISTERS,
    ("layer_norm2_block", "float total = 0.0f;"): _REGISTERS,
    ("scan1_hillis", "__syncthreads();"): _REGISTERS,
    ("reduce1_interleaved", "__syncthreads();"): _EARLIER,
    ("reduce2_strided", "__syncthreads();"): _EARLIER,
    ("reduce3_sequential", "__syncthreads();"): _EARLIER,
    ("matmul6_double_buffered",
     "if (t + BK < K) fetch(A, B, next_a, next_b, row0, col0, t + BK, M, N, K);"): _REGISTERS,
}  # fmt: skip
"""(kernel, the changed line): why the change is none."""


class Mutant(NamedTuple):
    """A source with one bug. `number` counts the bugs of a kernel."""

    kernel: str
    number: int
    kind: str
    line: int
    text: str
    source: str


def spans(source: str) -> Iterator[tuple[str, int, int]]:
    """Name, start and end of each function's body."""
    for found in re.finditer(
        r"(?:__global__|__device__)\s+\w+\s+(?:__launch_bounds__\(\d+\)\s*)?(\w+)\([^{;]*\{", source
    ):
        depth, at = 1, found.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(source[at], 0)
            at += 1
        yield found[1], found.end(), at


def changed(match: re.Match[str], by: str) -> str:
    """The replacement, with the few that need the matched text."""
    old = match.group()
    if by == "GUARD":
        return "if (true)" if "<" in old else "if (false)"
    if by == " * (1 + THAT)":
        return f" * ({old.split()[-1]} + 1)"
    if by == "PLUS1":
        return old + " + 1"
    if by == "PLAIN":
        reference, target, value = match.groups()
        return f"{target} += {value};" if reference else f"{target}[0] += {value};"
    return match.expand(by)


def users() -> dict[str, list[tuple[Rung, str]]]:
    """For each kernel the rungs that launch it, with one version of each."""
    rng = np.random.default_rng(0)
    found: dict[str, list[tuple[Rung, str]]] = {}
    for rung in LADDER:
        for name in rung.versions:
            for launch in rung.plan(name, *inputs(rung, name, rung.sizes[0], rng)).launches:
                known = found.setdefault(launch.kernel, [])
                if rung not in [r for r, _ in known]:
                    known.append((rung, name))
    return found


USERS = users()


def mutants(rung: Rung) -> Iterator[Mutant]:
    """All bugs of a rung's kernels; those of a device function belong to the kernels that use it."""
    numbers = Counter[str]()
    helpers = {
        "block_sum": "layer_norm2_block", "gelu": "bias_gelu2_fused", "adamw_one": "adamw2_fused",
        "fetch": "matmul6_double_buffered",
    }  # fmt: skip
    for function, start, end in spans(rung.source):
        kernel = helpers.get(function, function)
        if kernel not in USERS or USERS[kernel][0][0] is not rung:
            continue
        for kind, pattern, by in RULES:
            for m in re.finditer(pattern, rung.source[start:end]):
                new = changed(m, by)
                source = rung.source[: start + m.start()] + new + rung.source[start + m.end() :]
                line = rung.source[: start + m.start()].count("\n") + 1
                text = source.split("\n")[line - 1].strip()
                numbers[kernel] += 1
                yield Mutant(kernel, numbers[kernel], kind, line, text, source)


class Planted(Rung):
    """A rung whose source has a bug."""

    def __init__(self, rung: Rung, source: str) -> None:
        self.__dict__ |= rung.__dict__ | {"source": source}


def judge(mutant: Mutant) -> tuple[str, int]:
    """How a bug was caught and the line that the message names; ("missed", 0) if it was not."""
    for rung, version in USERS[mutant.kernel]:
        order = [1, 0] if rung.name == "attention" else [1, 2, 3, 0]  # the smallest says least
        for k in [k for k in order if k < len(rung.sizes)]:
            given = inputs(rung, version, rung.sizes[k], np.random.default_rng(2))
            try:
                Planted(rung, mutant.source).verify(version, *given)
            except (gpu.KernelFault, gpu.WrongResult) as fault:
                return type(fault).__name__, fault.line
            except gpu.SubsetError as refused:
                return "not read", refused.line
    return "missed", 0


def main(only: str = "") -> None:
    """Plant the bugs of one kernel, or of all, and renew their rows of the table."""
    found = []
    for rung in LADDER:
        for m in mutants(rung):
            if only and m.kernel != only:
                continue
            start = time.perf_counter()
            how, line = judge(m)
            why = EQUIVALENT.get((m.kernel, m.text), "") if how == "missed" else ""
            found.append(
                [m.kernel, str(m.number), m.kind, str(m.line), m.text, how, str(line), why]
            )
            seconds = time.perf_counter() - start
            print(f"{m.kernel} {m.number} {m.kind}: {how}, {seconds:.1f} s | {m.text}", flush=True)
    old = []
    if only and TABLE.exists():
        with TABLE.open(encoding="utf-8", newline="") as f:
            old = [row for row in list(csv.reader(f))[1:] if row[0] != only]
    order = {k: i for i, k in enumerate(k for rung in LADDER for k in rung.kernels)}
    with TABLE.open("w", encoding="utf-8", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(
            ["kernel", "number", "kind", "line", "text", "caught_by", "line_named", "why"]
        )
        writer.writerows(sorted([*old, *found], key=lambda row: (order[row[0]], int(row[1]))))


if __name__ == "__main__":
    main(*sys.argv[1:])
