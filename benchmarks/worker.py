"""A process that does one workload in one library, at the runner's word.

Reads one JSON command a line from the standard input, answers with one JSON line.
"""

import contextlib
import gc
import json
import os
import sys
import time
from typing import Any

import numpy as np

from benchmarks.workloads import WORKLOADS, products


def make(library: str, variant: str, name: str) -> Any:
    """The workload; imports one library only."""
    if library == "lmbook":
        from benchmarks.ours import Ours

        return Ours(WORKLOADS[name], variant)
    if library == "torch":
        from benchmarks.theirs import Theirs

        return Theirs(WORKLOADS[name], variant)
    from benchmarks.jaxed import Jaxed

    return Jaxed(WORKLOADS[name], variant)


def peak_megabytes() -> float:
    """The most memory that this process has held (its resident high-water mark)."""
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024**2 if sys.platform == "darwin" else 1024)


class Commands:
    """What a worker can be asked for."""

    def __init__(self, library: str, variant: str, name: str) -> None:
        self.work, self.name = make(library, variant, name), name

    def save(self, path: str) -> None:
        """Write the weights."""
        np.savez(path, **self.work.state())

    def load(self, path: str) -> None:
        """Read the weights."""
        with np.load(path) as file:
            self.work.load(dict(file))

    def result(self, path: str) -> None:
        """Write the first batch's gradients (or tokens)."""
        np.savez(path, **self.work.result())

    def run(self, seconds: float, least: int = 1) -> dict[str, float]:
        """Steps for about so long: seconds a step, and how much processor time they took."""
        gc.collect()
        busy, start, steps = time.process_time(), time.perf_counter(), 0
        while steps < least or time.perf_counter() - start < seconds:
            self.work.step()
            steps += 1
        took = time.perf_counter() - start
        cpu = time.process_time() - busy
        return {"step": took / steps, "seconds": took, "cpu": cpu, "steps": steps}

    def floor(self, seconds: float) -> float:
        """Seconds that the matrix products of one step take alone."""
        total = 0.0
        sizes = products(WORKLOADS[self.name])
        for count, size in sizes:
            product = self.work.product(size)
            product()
            times: list[float] = []
            end = time.perf_counter() + seconds / len(sizes)
            while len(times) < 3 or time.perf_counter() < end:
                start = time.perf_counter()
                product()
                times.append(time.perf_counter() - start)
            total += count * float(np.median(times))
        return total

    def memory(self) -> float:
        """Peak resident memory in MB."""
        return peak_megabytes()

    def about(self) -> dict[str, str]:
        """Versions."""
        return self.work.about()


def main() -> None:
    """Answer until the runner closes the pipe."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints by itself goes to the standard error
    commands = Commands(*sys.argv[1:4])
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(getattr(commands, name)(**arguments)), file=answers, flush=True)


if __name__ == "__main__":
    main()
