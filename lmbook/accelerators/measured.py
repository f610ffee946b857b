"""A machine's own roofline, measured through NumPy in float32."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from time import perf_counter

import numpy as np

from lmbook.accelerators.roofline import Roofline, Work, matmul, matvec, vector_add


@dataclass(frozen=True)
class Measured:
    """A machine, and for each kind of work the FLOP/s that it reached."""

    machine: Roofline
    works: tuple[Work, ...]
    reached: dict[str, float]


def best(run: Callable[[], object], repeats: int) -> float:
    """Seconds of the quickest of `repeats` runs."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return min(times)


def measure(n: int = 1024, megabytes: int = 128, repeats: int = 5) -> Measured:
    """This machine: a product of n x n matrices, arrays of `megabytes`, and three more kinds of work.

    Peak and bandwidth are the best that any of them reached, a copy and a dot product included: the quickest
    of `repeats`. Both are floors of what the machine has, since NumPy and its BLAS may fall short of it.
    Arrays must be larger than the caches for the bytes to be those of the memory.
    """
    a, b = np.ones((2, n, n), np.float32)
    c = np.empty_like(a)
    numbers = megabytes * 2**18
    x, y = np.ones((2, numbers), np.float32)
    z = np.zeros_like(x)
    side = int(np.sqrt(numbers))
    m, v, few = x[: side * side].reshape(side, side), x[:side], np.ones((side, 32), np.float32)
    square = matmul(n, n, n, 4)
    product = square.flops / best(lambda: np.matmul(a, b, out=c), repeats)
    copy = 2 * x.nbytes / best(lambda: np.copyto(z, x), repeats)
    read = 2 * x.nbytes / best(lambda: np.dot(x, y), repeats)
    works = {
        "vector add": (vector_add(numbers, 4), lambda: np.add(x, y, out=z)),
        "matrix-vector": (matvec(side, side, 4), lambda: m @ v),
        "32 columns": (matmul(side, side, 32, 4), lambda: m @ few),
    }
    named = [Work(name, work.flops, work.bytes) for name, (work, _) in works.items()]
    reached = {name: work.flops / best(run, repeats) for name, (work, run) in works.items()}
    moved = [reached[w.name] / w.intensity for w in named]
    named.append(Work("square product", square.flops, square.bytes))
    reached["square product"] = product
    machine = Roofline("this machine", max(reached.values()), max(copy, read, *moved))
    return Measured(machine, tuple(named), reached)


def example() -> Measured:
    """What `measure()` found on two cores of a server, a stand-in for machines that are not there."""
    with (files("lmbook.accelerators") / "example_machine.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    first = rows[0]
    machine = Roofline(first["machine"], float(first["peak"]), float(first["bandwidth"]))
    works = tuple(Work(r["work"], float(r["flops"]), float(r["bytes"])) for r in rows)
    return Measured(machine, works, {r["work"]: float(r["reached"]) for r in rows})
