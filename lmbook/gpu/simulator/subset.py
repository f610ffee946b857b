"""The subset of CUDA C, as a list: what a kernel may be written with."""

from __future__ import annotations

from lmbook.gpu.simulator import atomics, mathematics, warp
from lmbook.gpu.simulator.types import NAMES, Vector

SUBSET = """\
Functions    __global__ and __device__ functions (inlined, no recursion), references to variables
             as parameters, templates over int, bool and typename, __launch_bounds__(number)
Constants    #define with and without parameters, constexpr and const numbers, sizeof
Statements   if, for, while, do, break, continue, return, blocks
Types        bool, integers of 8 to 64 bits, __half, float, double, pointers, vectors such as float4
Memory       arrays in registers with {...}, __shared__ and extern __shared__ arrays, pointers into any
             of them, (T*)p and reinterpret_cast<T*>(p)
Expressions  all operators of C but -> and pointer differences, ?:, casts, .x .y .z .w
"""
"""What a kernel may be written with; the rest is refused with the line and the way out."""


def functions() -> dict[str, list[str]]:
    """Names of the built-in functions, by kind."""
    return {
        "warp": sorted(warp.NAMES),
        "atomic": sorted(atomics.NAMES),
        "mathematics": sorted(mathematics.FUNCTIONS),
        "vectors": sorted(f"make_{n}" for n, t in NAMES.items() if isinstance(t, Vector)),
        "memory": ["__ldg"],
    }
