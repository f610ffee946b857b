"""What can be worked out of each kernel of `lmbook.gpu` on paper, beside what the simulator counts.

A claim names a version of a rung, a quantity, the formula and its value at the size of `SIZES`; `value` finds
the quantity in the reports of a run, the simulator's or the PTX runner's. Every claim is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lmbook.gpu import Report
from lmbook.gpu.kernels import LADDER, Plan, Rung, attention_backward, copy_offset, copy_strided
from tests.gpu.agreement import inputs

Value = Callable[[list[Report]], float]

RUNGS: dict[str, Rung] = {
    "attention_backward" if rung is attention_backward else rung.name: rung for rung in LADDER
}
SIZES = {  # where the counters are read; multiples of everything, so that nothing is ragged
    "copy": 1 << 14, "transpose": (128, 96), "reduction": 1024, "softmax": (64, 256),
    "layer_norm": (64, 256), "bias_gelu": (256, 1024), "adamw": 1 << 12, "matmul": (128, 128, 128),
    "convolution": (4, 8, 16, 32), "embedding": (100, 30, 64), "attention": (1, 128),
    "attention_backward": (1, 128), "matvec": (256, 256), "scan": 2048, "topk": (4, 256, 8),
}  # fmt: skip
ABOUT = {  # the same in words
    "copy": "16,384 numbers", "transpose": "128 x 96", "reduction": "1,024 numbers, 4 blocks",
    "softmax": "64 rows of 256", "layer_norm": "64 rows of 256", "bias_gelu": "256 rows of 1,024",
    "adamw": "4,096 parameters", "matmul": "128 x 128 x 128",
    "convolution": "4 channels of 16 x 32, 8 filters",
    "embedding": "100 tokens, 30 rows of 64", "attention": "1 head, 128 positions, 64 numbers each",
    "attention_backward": "1 head, 128 positions, 64 numbers each", "matvec": "256 x 256",
    "scan": "2,048 numbers, 8 blocks", "topk": "4 rows of 256, the largest 8",
}  # fmt: skip


def cases(key: str) -> dict[str, Plan]:
    """A plan for each version of a rung at its size; copies of a part stand beside the versions."""
    rung, found = RUNGS[key], {}
    for name in rung.versions:
        found[name] = rung.plan(name, *inputs(rung, name, SIZES[key], np.random.default_rng(3)))
    if key == "copy":
        x = np.random.default_rng(3).standard_normal(SIZES["copy"], np.float32)
        found |= {f"copy2_offset by {k}": copy_offset(x, k) for k in (1, 8)}
        found |= {f"copy3_strided by {k}": copy_strided(x, k) for k in (2, 4, 8, 32)}
    return found


class Claim(NamedTuple):
    """A quantity that follows from the source. `compiled` is False where the PTX runner does not count it."""

    version: str
    what: str
    formula: str
    theory: float
    value: Value
    compiled: bool = True


def total(name: str) -> Value:
    """A counter summed over the launches, as `store_sectors`."""
    return lambda reports: sum(getattr(r.total, name) for r in reports)


def ratio(name: str) -> Value:
    """A ratio of the first launch, as `sectors_per_load`."""
    return lambda reports: float(getattr(reports[0].total, name))


def on_line(text: str, name: str) -> Value:
    """A counter or ratio of the lines of the first launch that hold `text`."""
    return lambda reports: float(getattr(reports[0].line(text), name))


def touched(reports: list[Report]) -> float:
    """Bytes of global memory, each counted once a launch for loading and once for storing."""
    return sum(r.bytes_touched for r in reports)


def of_array(launch: int, position: int, what: str) -> Value:
    """Bytes loaded or stored of the array at a position among a launch's arrays."""
    return lambda reports: getattr(reports[launch].traffic[position], what)


def times(n: int) -> str:
    """A factor of a formula; nothing for 1."""
    return f"{n} x " if n > 1 else ""


def _copy() -> list[Claim]:
    n = SIZES["copy"]
    both = [
        Claim("copy1_scalar", f"sectors a {way}", "32 lanes x 4 bytes / 32", 4, ratio(f"sectors_per_{way}"))
        for way in ("load", "store")
    ]  # fmt: skip
    strided = [
        Claim(f"copy3_strided by {s}", "sectors a load", f"min(32, 4 x {s})", min(32, 4 * s),
              ratio("sectors_per_load"))
        for s in (2, 4, 8, 32)
    ]  # fmt: skip
    return [
        *both,
        Claim("copy1_scalar", "bytes touched", "2 x 4 N", 8 * n, touched),
        Claim("copy2_offset by 1", "load sectors", "5 N / 32 - 1; the last warp has 31 lanes",
              5 * n // 32 - 1, total("load_sectors")),
        Claim("copy2_offset by 8", "load sectors", "(N - 8) / 8: a whole sector on, nothing is lost",
              (n - 8) // 8, total("load_sectors")),
        *strided,
        Claim("copy4_float4", "sectors a load", "32 lanes x 16 bytes / 32", 16, ratio("sectors_per_load")),
        Claim("copy4_float4", "load requests", "N / 128", n // 128, total("load_requests")),
    ]  # fmt: skip


def _transpose() -> list[Claim]:
    found = []
    for name, sectors, ways in (
        ("transpose1_naive", 32, 0), ("transpose2_tiled", 4, 32), ("transpose3_padded", 4, 1),
        ("transpose4_swizzled", 4, 1),
    ):  # fmt: skip
        why = "lanes store a row apart" if sectors == 32 else "32 lanes x 4 bytes / 32"
        found.append(Claim(name, "sectors a store", why, sectors, ratio("sectors_per_store")))
        if ways:
            why = "a column lies in one bank" if ways == 32 else "a column lies in 32 banks"
            found.append(
                Claim(name, "wavefronts a shared load", why, ways, ratio("shared_load_conflict"))
            )
    return found  # fmt: skip


def _reduction() -> list[Claim]:
    """Four blocks of 256 threads, 8 warps, 8 levels."""
    found = []
    per = {  # divergent branches, and warp operations: index, levels, additions, end
        "reduce1_interleaved": (
            "5 levels x 8 + 4 + 2 + 1 + 1, the last for `if (t == 0)`",
            48,
            8,
            47,
        ),
        "reduce2_strided": ("5 levels + 1 for `if (t == 0)`", 6, 8, 12),
        "reduce3_sequential": ("5 levels + 1 for `if (t == 0)`", 6, 6, 12),
        "reduce4_shuffle": ("8 warps + 1 for `if (t == 0)`", 9, 0, 0),
    }
    for name, (why, divergent, level, adding) in per.items():
        found.append(Claim(name, "divergent branches a block", why, divergent,
                           lambda r: r[0].total.divergent / r[0].blocks, False))  # fmt: skip
        if level:
            found.append(Claim(
                name, "warp operations a block", f"8 x 7 + 8 levels x 8 x {level} + 5 x {adding} + 34",
                8 * 7 + 8 * 8 * level + 5 * adding + 34,
                lambda r: r[0].total.operations / r[0].blocks, False))  # fmt: skip
    found.append(Claim("reduce4_shuffle", "warp operations a block",
                       "8 x (2 + 3 + 5 x 5 + 2 + 5 + 1 + 2) + 3 + 3 x 5 + 2 + 3", 343,
                       lambda r: r[0].total.operations / r[0].blocks, False))  # fmt: skip
    for name in per:
        shuffled = name == "reduce4_shuffle"
        flops = 256 * 5 + 32 * 3 + 1 if shuffled else 256
        why = "256 x 5 + 32 x 3 + 1 atomic" if shuffled else "255 additions + 1 atomic"
        found.append(
            Claim(name, "FLOP a block", why, flops, lambda r: r[0].total.flops / r[0].blocks, False)
        )
        barriers = 8 if shuffled else 9 * 8
        why = "1 x 8 warps" if shuffled else "(1 + 8 levels) x 8 warps"
        found.append(
            Claim(
                name, "barriers a block", why, barriers, lambda r: r[0].total.barriers / r[0].blocks
            )
        )
    waves = 2 * (4 * 2 + 2 * 4 + 8 + 8 + 8 + 4 + 2 + 1)
    found.append(Claim(
        "reduce2_strided", "wavefronts of `s[at] += s[at + d]` a block",
        "2 x (4 x 2 + 2 x 4 + 8 + 8 + 8 + 4 + 2 + 1)", waves,
        lambda r: r[0].line("s[at] += s[at + d]").shared_load_wavefronts / r[0].blocks))  # fmt: skip
    return found  # fmt: skip


def _softmax() -> list[Claim]:
    rows, n = SIZES["softmax"]
    found = []
    for name, passes in (
        ("softmax1_thread", 3), ("softmax2_warp", 3), ("softmax3_online", 2), ("softmax4_registers", 1),
    ):  # fmt: skip
        apart = name == "softmax1_thread"
        why = "lanes read a row apart" if apart else "32 lanes x 4 bytes / 32"
        found += [
            Claim(name, "sectors a load", why, 32 if apart else 4, ratio("sectors_per_load")),
            Claim(name, "bytes that loads ask for", f"{times(passes)}4 N", passes * 4 * rows * n,
                  total("load_bytes")),
            Claim(name, "bytes touched", "2 x 4 N", 8 * rows * n, touched),
        ]  # fmt: skip
    return found


def _layer_norm() -> list[Claim]:
    rows, n = SIZES["layer_norm"]
    found = []
    for name, passes in (
        ("layer_norm1_thread", 3), ("layer_norm2_block", 3), ("layer_norm3_staged", 1),
    ):  # fmt: skip
        both = f"({passes} + 2) x 4 N: the row, weight and bias"
        found += [
            Claim(name, "bytes that loads ask for", both, (passes + 2) * 4 * rows * n, total("load_bytes")),
            Claim(name, "bytes that stores ask for", "4 N", 4 * rows * n, total("store_bytes")),
            Claim(name, "bytes touched", "2 x 4 N + 2 x 4 n", 8 * rows * n + 8 * n, touched),
        ]  # fmt: skip
    return found


def _bias_gelu() -> list[Claim]:
    rows, n = SIZES["bias_gelu"]
    return [
        Claim(name, "bytes touched", f"{moves} x 4 N + 4 n", moves * 4 * rows * n + 4 * n, touched)
        for name, moves in (("bias_gelu1_separate", 4), ("bias_gelu2_fused", 2), ("bias_gelu3_float4", 2))
    ]  # fmt: skip


def _adamw() -> list[Claim]:
    return [
        Claim(name, "bytes a parameter", why, each, lambda r: touched(r) / SIZES["adamw"])
        for name, each, why in (
            ("adamw1_separate", 40, "4 x (3 + 3 + 4)"), ("adamw2_fused", 28, "4 x (4 read + 3 written)"),
            ("adamw3_float4", 28, "4 x (4 read + 3 written)"),
        )
    ]  # fmt: skip


def _matmul() -> list[Claim]:
    n = SIZES["matmul"][0]
    found = [
        Claim(name, "FLOP", "2 M N K", 2 * n**3, total("flops")) for name in RUNGS["matmul"].versions
    ]  # fmt: skip
    found += [
        Claim("matmul1_naive", "sectors a load", "(32 + 1) / 2", 16.5, ratio("sectors_per_load")),
        Claim("matmul2_coalesced", "sectors a load", "(1 + 4) / 2", 2.5, ratio("sectors_per_load")),
    ]
    for name, tile in (("matmul3_tiled", 32), ("matmul4_registers", 64), ("matmul5_vectorised", 64),
                       ("matmul6_double_buffered", 64)):  # fmt: skip
        found.append(Claim(name, "bytes asked for a FLOP", f"4 / {tile}", 4 / tile,
                           lambda r: r[0].total.load_bytes / r[0].total.flops))  # fmt: skip
    stored = "shared_store_conflict"
    found.append(Claim("matmul4_registers", "wavefronts a store of A's tile", "8 lanes, one bank", 8,
                       on_line("As[k][r] =", stored)))  # fmt: skip
    for name, barriers in (("matmul5_vectorised", 2), ("matmul6_double_buffered", 1)):
        why = f"{barriers} x 16 tiles x 8 warps x 4 blocks"
        found += [
            Claim(name, "wavefronts over the least, stores", "spare columns", 1, ratio(stored)),
            Claim(name, "barriers", why, barriers * n // 8 * 8 * 4, total("barriers")),
        ]
    return found


def _convolution() -> list[Claim]:
    c, o, h, w = SIZES["convolution"]
    x = 4 * c * h * w
    inside = (3 * h - 2) * (3 * w - 2)
    return [
        Claim("conv1_im2col", "bytes stored in the buffer", "9 x the input", 9 * x, of_array(0, 1, "stored")),
        Claim("conv1_im2col", "FLOP of the product", "2 x O x 9 C x H W", 2 * o * 9 * c * h * w,
              lambda r: r[1].total.flops),
        Claim("conv2_direct", "FLOP", "2 x O C x (3 H - 2) (3 W - 2): taps on the image", 2 * o * c * inside,
              total("flops")),
        Claim("conv2_direct", "bytes touched", "input + weights + output", x + 4 * o * c * 9 + 4 * o * h * w,
              touched),
        Claim("conv3_tiled", "FLOP", "2 x O x 9 C x H W", 2 * o * 9 * c * h * w, total("flops")),
        Claim("conv3_tiled", "bytes touched", "input + weights + output", x + 4 * o * c * 9 + 4 * o * h * w,
              touched),
    ]  # fmt: skip


def _embedding() -> list[Claim]:
    tokens, _, d = SIZES["embedding"]
    return [
        Claim("embedding1_atomic", "atomics", "tokens x d", tokens * d, total("atomics")),
        Claim("embedding1_atomic", "atomic requests", "tokens x d / 32", tokens * d // 32,
              total("atomic_requests")),
        Claim("embedding2_gather", "atomics", "none", 0, total("atomics")),
        Claim("embedding3_sorted", "atomics", "none", 0, total("atomics")),
        Claim("embedding3_sorted", "bytes asked for by `sum += dy`", "4 x tokens x d, and the order",
              8 * tokens * d, on_line("sum += dy", "load_bytes")),
    ]  # fmt: skip


def _attention() -> list[Claim]:
    heads, s = SIZES["attention"]
    scores, one = 4 * s * s, 4 * s * 64
    return [
        Claim("attention1_unfused", "bytes touched of scores", "4 x 4 S^2", 4 * scores,
              lambda r: sum(r[k].traffic[at].loaded + r[k].traffic[at].stored
                            for k, at in ((0, 2), (1, 0), (2, 0)))),
        Claim("attention2_flash", "bytes touched", "heads x (4 x 4 S d + 4 S)", heads * (4 * one + 4 * s),
              touched),
    ]  # fmt: skip


def _attention_backward() -> list[Claim]:
    heads, s = SIZES["attention_backward"]
    one, row = 4 * s * 64, 4 * s
    parts = {"attention2_flash": (4, 1), "attention3_delta": (2, 1), "attention3_dq": (5, 2),
             "attention3_dkv": (6, 2)}  # fmt: skip
    return [
        Claim("attention3_flash", f"bytes touched, {kernel}", f"{a} x 4 S d + {times(b)}4 S",
              heads * (a * one + b * row), lambda r, k=k: r[k].bytes_touched)
        for k, (kernel, (a, b)) in enumerate(parts.items())
    ]  # fmt: skip


def _matvec() -> list[Claim]:
    n = SIZES["matvec"][0]
    return [
        Claim("matvec1_float32", "bytes touched", "4 n^2 + 8 n", 4 * n * n + 8 * n, touched),
        Claim("matvec2_int8", "bytes touched", "n^2 + 12 n", n * n + 12 * n, touched),
        Claim("matvec3_int4", "bytes touched", "n^2 / 2 + 4 n^2 / 32 + 8 n", n * n // 2 + n * n // 8 + 8 * n,
              touched),
        Claim("matvec1_float32", "FLOP", "2 n^2 + 5 rounds x 32 n", 2 * n * n + 160 * n, total("flops")),
    ]  # fmt: skip


def _scan() -> list[Claim]:
    """Eight blocks of 256 threads; barriers are counted in each of 8 warps."""

    def first(name: str) -> Value:
        return lambda r: getattr(r[0].total, name) / r[0].blocks

    levels = sum(256 - 2**k for k in range(8))
    return [
        Claim("scan1_hillis", "FLOP a block", "256 x 8 - 255 additions", levels, first("flops")),
        Claim("scan1_hillis", "barriers a block", "(1 + 8 rounds) x 8 warps", 72, first("barriers")),
        Claim("scan2_blelloch", "FLOP a block", "255 up, 255 down, 256 at the end", 766, first("flops")),
        Claim("scan2_blelloch", "barriers a block", "(2 + 2 x 8 rounds) x 8 warps", 144, first("barriers")),
        Claim("scan3_shuffle", "barriers a block", "2 x 8 warps", 16, first("barriers")),
    ]  # fmt: skip


def _topk() -> list[Claim]:
    """Four rows, a block of 4 warps each."""
    rows, _, k = SIZES["topk"]
    return [
        Claim("topk1_rounds", "barriers", "2 k x 4 warps x 4 rows", 2 * k * 4 * rows, total("barriers")),
        Claim("topk2_bitonic", "barriers", "(1 + 10 x 11 / 2) x 4 warps x 4 rows, whatever k", 56 * 4 * rows,
              total("barriers")),
    ]  # fmt: skip


CLAIMS: dict[str, list[Claim]] = {
    "copy": _copy(), "transpose": _transpose(), "reduction": _reduction(), "softmax": _softmax(),
    "layer_norm": _layer_norm(), "bias_gelu": _bias_gelu(), "adamw": _adamw(), "matmul": _matmul(),
    "convolution": _convolution(), "embedding": _embedding(), "attention": _attention(),
    "attention_backward": _attention_backward(), "matvec": _matvec(), "scan": _scan(), "topk": _topk(),
}  # fmt: skip
