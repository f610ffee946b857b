"""The tiled product in numba's CUDA simulator.

NUMBA_ENABLE_CUDASIM=1 python -m benchmarks.numba_simulator N

Started by `benchmarks.simulator`. Prints the seconds and the largest difference from NumPy.
"""

import json
import sys
import time

import numpy as np
from numba import cuda, float32

TILE = 16


@cuda.jit
def matmul(a, b, c, n):
    sa = cuda.shared.array((TILE, TILE), float32)
    sb = cuda.shared.array((TILE, TILE), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, col = cuda.blockIdx.y * TILE + ty, cuda.blockIdx.x * TILE + tx
    total = float32(0)
    for t in range(0, n, TILE):
        sa[ty, tx] = a[row, t + tx]
        sb[ty, tx] = b[t + ty, col]
        cuda.syncthreads()
        for k in range(TILE):
            total += sa[ty, k] * sb[k, tx]
        cuda.syncthreads()
    c[row, col] = total


def main() -> None:
    """One product."""
    n = int(sys.argv[1])
    a, b = np.random.default_rng(0).standard_normal((2, n, n)).astype(np.float32)
    c = np.zeros((n, n), np.float32)
    start = time.perf_counter()
    matmul[(n // TILE, n // TILE), (TILE, TILE)](a, b, c, n)
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, float(abs(c - a @ b).max())]))


if __name__ == "__main__":
    main()
