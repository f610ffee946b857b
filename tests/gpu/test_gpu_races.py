"""The race detector against a list of all accesses, on random kernels."""

from __future__ import annotations

import numpy as np
import pytest

from lmbook import gpu

THREADS, PLACES = 64, 16
INDICES = {  # C, and the same in Python
    "t % 16": lambda t: t % 16, "t / 4": lambda t: t // 4, "(t + 1) % 16": lambda t: (t + 1) % 16,
    "t / 32": lambda t: t // 32, "t / 32 * 8 + t % 8": lambda t: t // 32 * 8 + t % 8, "3": lambda t: 3,
    "t / 8 * 2 % 16": lambda t: t // 8 * 2 % 16, "(t ^ 1) % 16": lambda t: (t ^ 1) % 16,
}  # fmt: skip
GUARDS = {
    "t < 64": lambda t: True, "t < 32": lambda t: t < 32, "t % 4 == 0": lambda t: t % 4 == 0,
    "t == 5": lambda t: t == 5, "t >= 48": lambda t: t >= 48,
}  # fmt: skip
KINDS = ("read", "write", "atomic", "barrier", "warp barrier")

Program = list[tuple[str, str, str]]


def draw(rng: np.random.Generator, length: int) -> Program:
    """A random list of (kind, guard, index)."""
    kinds = rng.choice(KINDS, length, p=(0.35, 0.25, 0.1, 0.15, 0.15))
    guards, indices = list(GUARDS), list(INDICES)
    return [(str(k), str(rng.choice(guards)), str(rng.choice(indices))) for k in kinds]


def source(program: Program, shared: bool) -> str:
    """Line 6 is the first statement. In global memory block b uses places from 8 b on: two overlap."""
    text = {
        "read": "if ({g}) v += {s}[{i}];", "write": "if ({g}) {s}[{i}] = 1;",
        "atomic": "if ({g}) atomicAdd(&{s}[{i}], 1);", "barrier": "__syncthreads();",
        "warp barrier": "__syncwarp();",
    }  # fmt: skip
    lines = [text[k].format(g=g, i=i, s="s" if shared else "x") for k, g, i in program]
    return "\n".join([
        'extern "C" __global__ void k(int* out, int* all) {', f"  __shared__ int s[{PLACES}];",
        "  int t = threadIdx.x, v = 0; int* x = all + 8 * blockIdx.x;",
        f"  if (t < {PLACES}) s[t] = 1;", "  __syncthreads();",
        *lines, f"out[blockIdx.x * {THREADS} + t] = v;", "}",
    ])  # fmt: skip


def first_race(program: Program, shared: bool) -> int | None:
    """The first statement that conflicts with an earlier one, found by comparing all pairs of accesses."""
    blocks = 1 if shared else 2
    seen: list[list[tuple[int, str, int]]] = [[] for _ in range(PLACES + 8 * blocks)]
    block = warp = 0
    for now, (kind, guard, index) in enumerate(program, start=1):
        if kind == "barrier":
            block = now
        elif kind == "warp barrier":
            warp = now
        else:
            chosen = [t for t in range(THREADS) if GUARDS[guard](t)]
            uses = [
                (b * THREADS + t, INDICES[index](t) + 8 * b) for b in range(blocks) for t in chosen
            ]
            for me, place in uses:
                for who, what, when in seen[place]:
                    harmless = what == kind and kind in ("read", "atomic")
                    same = who // THREADS == me // THREADS
                    ordered = same and when < (max(block, warp) if who // 32 == me // 32 else block)
                    if who != me and not harmless and not ordered:
                        return now - 1
            for me, place in uses:
                seen[place].append((me, kind, now))
    return None


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_against_all_pairs(seed: int, shared: bool) -> None:
    rng = np.random.default_rng(seed)
    races = 0
    for _ in range(60):
        program = draw(rng, int(rng.integers(2, 9)))
        expected = first_race(program, shared)
        kernel = gpu.Kernel(source(program, shared), "k")
        arrays = (np.zeros(2 * THREADS, np.int32), np.ones(PLACES + 8, np.int32))
        if expected is None:
            kernel.simulate(2, THREADS, arrays, races=True)
            continue
        races += 1
        with pytest.raises(gpu.DataRace) as caught:
            kernel.simulate(2, THREADS, arrays, races=True)
        assert caught.value.line == 6 + expected, source(program, shared)
    assert 15 < races < 58


def test_one_value_by_several_lanes_is_harmless() -> None:
    """Also if it is NaN, which equals nothing."""
    for value, harmless in (("NAN", True), ("2.0f", True), ("x[32 + t]", False)):
        source = f"""extern "C" __global__ void k(float* x) {{
  int t = threadIdx.x;
  if (t < 2) x[0] = {value};
}}"""
        x = np.arange(64, dtype=np.float32)
        if harmless:
            gpu.Kernel(source, "k").simulate(1, 32, (x,), races=True)
            assert x[0] != 0
        else:
            with pytest.raises(gpu.DataRace, match="write different values at once"):
                gpu.Kernel(source, "k").simulate(1, 32, (x,), races=True)


def test_the_barrier_that_is_missing_holds_for_all_in_conflict() -> None:
    """A place that lanes of its warp and other warps read needs the block's barrier."""
    for readers, cure in (
        ("t < 32", "__syncwarp"),
        ("t < 64", "__syncthreads"),
        ("t > 31", "__syncthreads"),
    ):
        source = f"""extern "C" __global__ void k(float* x) {{
  __shared__ float s[1];
  int t = threadIdx.x;
  if (t == 0) s[0] = 1.0f;
  if ({readers}) x[t] = s[0];
}}"""
        with pytest.raises(gpu.DataRace, match=rf"is a {cure}\(\) missing"):
            gpu.Kernel(source, "k").simulate(1, 64, (np.zeros(64, np.float32),), races=True)
