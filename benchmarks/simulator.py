"""The kernel simulator beside numba's and Triton's interpreter, on a tiled product.

python -m benchmarks.simulator          times in the terminal; about five minutes
python -m benchmarks.simulator --csv    and into book/facts/kernels_simulators*.csv, for book/kernels.md

All multiply the same float32 matrices, in tiles of 16 x 16; Triton also in tiles of 64 and 128, as it is
used. Sizes double from 64 x 64 for as long as the next product, eight times the work, should take less than
`--patience` seconds. Who does not get to 512 x 512 so has the largest time scaled by n^3. Every product is
compared with NumPy's before a time is kept. One thread each, one after the other.

`pip install triton` brings the interpreter, for Linux alone, a gigabyte; it needs no GPU. PyTorch
holds its arrays.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np

from benchmarks.report import save
from benchmarks.runner import ROOT, environment, processor
from lmbook.gpu import Kernel

LIMIT = 3.0  # the promise in seconds for 512 x 512 without the race detector
RATIO = 100.0  # and how many times faster than numba's simulator
SIZE = 512
FACTS = ROOT / "book" / "facts" / "kernels_simulators.csv"
MACHINE = ROOT / "book" / "facts" / "kernels_simulators_machine.csv"
CONTENDERS = {  # simulator, tile
    "lmbook": ("lmbook", 16), "lmbook, races": ("lmbook, looking for races", 16),
    "numba": ("numba's simulator", 16), "triton16": ("Triton's interpreter", 16),
    "triton64": ("Triton's interpreter", 64), "triton128": ("Triton's interpreter", 128),
}  # fmt: skip

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


def ours(n: int, races: bool) -> float:
    """Seconds of our simulator for n x n, the kernel read before."""
    kernel = Kernel(SOURCE, "matmul")
    a, b = np.random.default_rng(0).standard_normal((2, n, n)).astype(np.float32)
    c = np.zeros((n, n), np.float32)
    start = time.perf_counter()
    kernel.simulate((n // 16, n // 16), (16, 16), (a, b, c, n), races=races)
    seconds = time.perf_counter() - start
    return checked("lmbook", n, seconds, float(abs(c - a @ b).max()))


def theirs(module: str, n: int, tile: int) -> float:
    """Seconds of another simulator for n x n, in a process of its own, without the time to start it."""
    switches = {"NUMBA_ENABLE_CUDASIM": "1", "TRITON_INTERPRET": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", f"benchmarks.{module}", str(n), str(tile)],
        env={**environment(1), **switches}, cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stderr}")
    seconds, error = json.loads(done.stdout)
    return checked(module, n, seconds, error)


def checked(name: str, n: int, seconds: float, error: float) -> float:
    """The seconds, if the product of n x n was right; `RuntimeError` if not."""
    if not error < 1e-5 * n:
        raise RuntimeError(f"{name}'s product is not NumPy's; no time is worth printing")
    return seconds


def one(contender: str, n: int) -> float:
    """Seconds of a contender for n x n."""
    name, tile = CONTENDERS[contender]
    if name.startswith("lmbook"):
        return ours(n, "races" in name)
    return theirs("numba_simulator" if "numba" in name else "triton_interpreter", n, tile)


def climb(once: Callable[[int], float], patience: float, first: int, most: int) -> dict[int, float]:
    """Double the size while the next time should stay within `patience`; the seconds of each size.

    What takes less than five seconds runs three times, and the least time counts.
    """
    times: dict[int, float] = {}
    n = first
    while True:
        seconds = once(n)
        times[n] = min(seconds, once(n), once(n)) if seconds < 5 else seconds
        if 8 * times[n] > patience or n >= most:
            return times
        n *= 2


def rows(
    contenders: list[str], patience: float, first: int = 64, most: int = 4096
) -> list[dict[str, Any]]:
    """For each contender the largest size and its time, and the time of 512 x 512, scaled if need be."""
    found = []
    for contender in contenders:
        name, tile = CONTENDERS[contender]
        times = climb(partial(one, contender), patience, max(first, tile), most)
        n = max(times)
        scaled = SIZE not in times
        seconds = times[n] * (SIZE / n) ** 3 if scaled else times[SIZE]
        found.append({
            "simulator": name, "tile": tile, "seconds": f"{seconds:.3g}",
            "scaled_from": n if scaled else "", "largest": n, "largest_seconds": f"{times[n]:.3g}",
        })  # fmt: skip
        print(line(found[-1]), flush=True)
    return found


def line(row: dict[str, Any]) -> str:
    """A row for the terminal."""
    how = f", scaled from {row['scaled_from']}" if row["scaled_from"] else ""
    return (
        f"{row['simulator']}, tiles of {row['tile']}: {SIZE} x {SIZE} in {row['seconds']} s{how}; "
        f"{row['largest']} x {row['largest']} in {row['largest_seconds']} s"
    )


def kept(found: list[dict[str, Any]]) -> bool:
    """Whether the promises hold: 512 x 512 in time, and numba's simulator so many times slower."""
    seconds = {row["simulator"]: float(row["seconds"]) for row in found}
    numba = seconds.get("numba's simulator", float("inf"))
    return seconds["lmbook"] <= LIMIT and numba >= RATIO * seconds["lmbook"]


def machine() -> list[dict[str, str]]:
    """Processor and versions."""
    found = {"processor": processor(), "threads": "1", "Python": sys.version.split()[0]}
    for package in ("numpy", "numba", "triton", "torch"):
        if find_spec(package):
            found[{"numpy": "NumPy", "torch": "PyTorch"}.get(package, package)] = version(package)
    return [{"what": k, "value": v} for k, v in found.items()]


def absent(contenders: list[str]) -> list[str]:
    """What must be installed first for these contenders."""
    needs = {"numba": ("numba",), "triton": ("triton", "torch")}
    wanted = [
        p for k, packages in needs.items() if any(k in c for c in contenders) for p in packages
    ]
    return [p for p in wanted if find_spec(p) is None]


def main(given: list[str] | None = None) -> int:
    """Measure, print, and write the registers if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.simulator", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--contenders", nargs="+", choices=[*CONTENDERS], default=[*CONTENDERS])
    parser.add_argument("--patience", type=float, default=60.0, help="seconds for one product")
    parser.add_argument("--most", type=int, default=4096, help="the largest size to try")
    parser.add_argument(
        "--csv", action="store_true", help="write what the book's page is made from"
    )
    arguments = parser.parse_args(given)
    if missing := absent(arguments.contenders):
        chosen = shlex.join(c for c in CONTENDERS if not absent([c]))
        print(f"needs pip install {' '.join(missing)}; without: --contenders {chosen}")
        return 2
    os.environ.update(environment(1))
    found = rows(arguments.contenders, arguments.patience, most=arguments.most)
    if arguments.csv:
        save(FACTS, found)
        save(MACHINE, machine())
    return int("lmbook" in arguments.contenders and not kept(found))


if __name__ == "__main__":
    raise SystemExit(main())
