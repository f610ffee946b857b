"""The kernel simulator beside numba's, on a tiled product of 512 x 512: `python -m benchmarks.simulator`.

numba's simulator runs each thread of a block as a thread of Python. It would take most of an hour, so it
multiplies 32 x 32 with the same kernel, and its time is scaled by the number of products, n^3. Both results
are compared with NumPy's before a time is printed.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

from lmbook.gpu import Kernel

LIMIT = 3.0  # the promise in seconds for 512 x 512 without the race detector
RATIO = 100.0  # and how many times faster than numba's simulator

SOURCE = """#define TILE 16
extern "C" __global__ void matmul(const float* A, const float* B, float* C, int n) {
  __shared__ float As[TILE][TILE];
  __shared__ float Bs[TILE][TILE];
  int tx = threadIdx.x, ty = threadIdx.y;
  int row = blockIdx.y * TILE + ty, col = blockIdx.x * TILE + tx;
  float sum = 0.0f;
  for (int t = 0; t < n; t += TILE) {
    As[ty][tx] = A[row * n + t + tx];
    Bs[ty][tx] = B[(t + ty) * n + col];
    __syncthreads();
    for (int k = 0; k < TILE; ++k) sum += As[ty][k] * Bs[k][tx];
    __syncthreads();
  }
  C[row * n + col] = sum;
}"""

NUMBA = """
import json, sys, time
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

n = int(sys.argv[1])
rng = np.random.default_rng(0)
a, b = rng.standard_normal((2, n, n)).astype(np.float32)
c = np.zeros((n, n), np.float32)
start = time.perf_counter()
matmul[(n // TILE, n // TILE), (TILE, TILE)](a, b, c, n)
seconds = time.perf_counter() - start
print(json.dumps([seconds, float(abs(c - a @ b).max())]))
"""


def ours(n: int, races: bool, rounds: int) -> float:
    """The least of `rounds` times, in seconds."""
    kernel = Kernel(SOURCE, "matmul")
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, n, n)).astype(np.float32)
    times = []
    for _ in range(rounds):
        c = np.zeros((n, n), np.float32)
        start = time.perf_counter()
        kernel.simulate((n // 16, n // 16), (16, 16), (a, b, c, n), races=races)
        times.append(time.perf_counter() - start)
        if abs(c - a @ b).max() > 1e-3:
            raise RuntimeError("the simulator's product is not NumPy's; no time is worth printing")
    return min(times)


def numba(n: int) -> float:
    """Seconds of numba's simulator for n x n, without the time to start it."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", NUMBA, str(n)],
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"numba's simulator failed:\n{done.stderr}")
    seconds, error = json.loads(done.stdout)
    if error > 1e-3:
        raise RuntimeError("numba's product is not NumPy's; no time is worth printing")
    return float(seconds)


def rows(n: int = 512, small: int = 32, rounds: int = 3) -> list[dict[str, Any]]:
    """Seconds for n x n, one row a simulator."""
    theirs = numba(small) * (n / small) ** 3
    found = [
        {"simulator": "lmbook", "races": races, "seconds": ours(n, races, rounds)}
        for races in (False, True)
    ]
    for row in found:
        row["times_faster_than_numba"] = theirs / row["seconds"]
    scaled = {
        "simulator": f"numba, scaled from {small} x {small}",
        "races": False,
        "seconds": theirs,
    }
    return [*found, {**scaled, "times_faster_than_numba": 1.0}]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print rows that a program can read")
    arguments = parser.parse_args()
    found = rows()
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        for row in found:
            checks = "with races" if row["races"] else "without"
            print(f"{row['simulator']:32} {checks:12} {row['seconds']:9.2f} s")
    plain = found[0]
    return int(plain["seconds"] > LIMIT or plain["times_faster_than_numba"] < RATIO)


if __name__ == "__main__":
    raise SystemExit(main())
