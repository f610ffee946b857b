"""The tiled product in Triton's interpreter.

TRITON_INTERPRET=1 python -m benchmarks.triton_interpreter N TILE

Started by `benchmarks.simulator`. A Triton program works on a whole tile and knows no threads. PyTorch only
holds the arrays, as the interpreter takes no others. Prints the seconds and the largest difference from
NumPy.
"""

import json
import sys
import time

import numpy as np
import torch
import triton
import triton.language as tl


@triton.jit
def matmul(a, b, c, n, TILE: tl.constexpr):
    rows = tl.program_id(1) * TILE + tl.arange(0, TILE)
    cols = tl.program_id(0) * TILE + tl.arange(0, TILE)
    inner = tl.arange(0, TILE)
    total = tl.zeros((TILE, TILE), dtype=tl.float32)
    for t in range(0, n, TILE):
        x = tl.load(a + rows[:, None] * n + t + inner[None, :])
        y = tl.load(b + (t + inner[:, None]) * n + cols[None, :])
        total += tl.dot(x, y, input_precision="ieee")
    tl.store(c + rows[:, None] * n + cols[None, :], total)


def main() -> None:
    """One product."""
    n, tile = int(sys.argv[1]), int(sys.argv[2])
    a, b = np.random.default_rng(0).standard_normal((2, n, n)).astype(np.float32)
    c = torch.zeros((n, n))
    given = torch.from_numpy(a), torch.from_numpy(b)
    start = time.perf_counter()
    matmul[(n // tile, n // tile)](*given, c, n, TILE=tile)
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, float(abs(c.numpy() - a @ b).max())]))


if __name__ == "__main__":
    main()
