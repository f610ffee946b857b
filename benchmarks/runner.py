"""Runs the workers in turn, so that all variants meet the same weather.

Each variant lives in a process of its own; while one takes a block of steps the others wait. Blocks
during which other programs used the processor are left out.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workloads import Workload

ROOT = Path(__file__).resolve().parents[1]
VARIANTS = {  # name -> library, variant, what it is called
    "eager": ("torch", "eager", "PyTorch eager"),
    "tuned": ("torch", "tuned", "PyTorch tuned"),
    "numpy": ("lmbook", "numpy", "lmbook, NumPy alone"),
    "fast": ("lmbook", "fast", "lmbook with numba"),
    "jax": ("jax", "jit", "JAX jit"),
}
TOLERANCE = {"float64": 1e-9, "float32": 2e-4, "int64": 0}  # of the largest entry


@dataclass
class Result:
    """What was measured of one workload: by variant, seconds of every block's mean step."""

    workload: Workload
    blocks: dict[str, list[float]] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    floor: dict[str, float] = field(default_factory=dict)
    difference: float = 0.0
    absent: dict[str, str] = field(default_factory=dict)

    def median(self, variant: str) -> float:
        """Seconds of a step."""
        return float(np.median(self.blocks[variant]))

    def ratio(self, variant: str) -> float:
        """Time over PyTorch eager's."""
        return self.median(variant) / self.median("eager")

    def rows(self) -> list[dict[str, Any]]:
        """One row for each variant, as the register keeps it."""
        return [
            {
                "workload": self.workload.name, "title": self.workload.title, "variant": variant,
                "median_ms": f"{1e3 * self.median(variant):.3f}",
                "low_ms": f"{1e3 * min(times):.3f}", "high_ms": f"{1e3 * max(times):.3f}",
                "blocks": len(times), "ratio": f"{self.ratio(variant):.3f}",
                "memory_mb": f"{self.memory[variant]:.0f}",
                "floor_ms": f"{1e3 * self.floor[variant]:.3f}" if variant in self.floor else "",
            }
            for variant, times in self.blocks.items()
        ]  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Everything, blocks included."""
        return asdict(self)


def environment(threads: int) -> dict[str, str]:
    """The same threads and the same malloc for every library; OpenBLAS chooses its kernel itself."""
    found = {
        k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    }
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        found[f"{name}_NUM_THREADS"] = str(threads)
    found["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={threads}"
    found["MALLOC_MMAP_THRESHOLD_"] = str(2**30)
    found["MALLOC_TRIM_THRESHOLD_"] = str(2**31 - 1)
    return found


class Worker:
    """A process that does one workload in one variant, and waits while it is not asked."""

    def __init__(self, variant: str, workload: str, threads: int) -> None:
        library, kind, _ = VARIANTS[variant]
        command = [sys.executable, "-m", "benchmarks.worker", library, kind, workload]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment(threads), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def ready(self) -> None:
        """Wait until the work can begin; several workers start at the same time."""
        self._answer("starting")

    def _answer(self, question: str) -> Any:
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise RuntimeError(f"benchmark worker {self.process.args} ended while {question}")
        return json.loads(line)

    def ask(self, command: str, **arguments: Any) -> Any:
        """Send one command and wait for the answer."""
        print(json.dumps([command, arguments]), file=self.process.stdin, flush=True)
        return self._answer(command)

    def close(self) -> None:
        """Let the process end."""
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.stdout.close()  # type: ignore[union-attr]
        self.process.wait()


@contextmanager
def worker(variant: str, workload: str, threads: int) -> Iterator[Worker]:
    """A worker that is closed at the end."""
    made = Worker(variant, workload, threads)
    try:
        yield made
    finally:
        made.close()


def machine_seconds() -> float | None:
    """Processor time that all programs have used, or None where the system does not say."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return None
    user, nice, system, _, _, irq, softirq, steal = (int(f) for f in fields)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def wait_for_quiet(patience: float) -> float:
    """Wait until no other program uses the processor, no longer than this; the seconds waited."""
    start = time.perf_counter()
    while time.perf_counter() - start < patience:
        before = machine_seconds()
        time.sleep(0.1)
        after = machine_seconds()
        if before is None or after is None or after - before < 0.03:
            break
    return time.perf_counter() - start


def block(w: Worker, seconds: float) -> tuple[float, bool]:
    """Seconds of a step, and whether others left the machine alone meanwhile."""
    before = machine_seconds()
    found = w.ask("run", seconds=seconds)
    after = machine_seconds()
    if before is None or after is None:
        return found["step"], True
    others = after - before - found["cpu"]
    return found["step"], others < 0.1 * found["seconds"] + 0.15 * found["cpu"] + 0.03


def compare(workload: Workload, a: Path, b: Path) -> float:
    """Largest difference of two sets of arrays, each on the scale of its largest entry."""
    with np.load(a) as ours, np.load(b) as theirs:
        if set(ours) != set(theirs):
            raise ValueError(
                f"{workload.name}: the gradients' names differ: {set(ours) ^ set(theirs)}"
            )
        worst = 0.0
        for name in ours:
            x, y = ours[name].astype(np.float64), theirs[name].astype(np.float64)
            scale = max(float(np.abs(y).max()), 1e-8)
            difference = float(np.abs(x - y).max()) / scale
            if not difference <= TOLERANCE[ours[name].dtype.name]:
                raise ValueError(
                    f"{workload.name}: {name} differs from PyTorch's by {difference:.2g} of the "
                    "largest entry; unequal work is not compared"
                )
            worst = max(worst, difference)
    return worst


def measure(
    workload: Workload, rounds: int, seconds: float, threads: int, patience: float = 0.0
) -> Result:
    """Check that the variants do the same, then time them in turn.

    For up to `patience` seconds in all, blocks wait while other programs use the processor.
    """
    result, threads = Result(workload), workload.threads or threads
    variants = [v for v in VARIANTS if v != "jax"]
    if find_spec("jax") is None:
        result.absent["jax"] = "not installed"
    elif workload.kind in ("mlp", "gpt"):
        variants.append("jax")
    if find_spec("numba") is None:
        variants.remove("fast")
        result.absent["fast"] = "numba is not installed"
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        workers = {v: stack.enter_context(worker(v, workload.name, threads)) for v in variants}
        for w in workers.values():
            w.ready()
        weights = str(Path(folder) / "weights.npz")
        workers["numpy"].ask("save", path=weights)
        for v, w in workers.items():
            if VARIANTS[v][0] != "lmbook":
                w.ask("load", path=weights)
            w.ask("result", path=str(Path(folder) / f"{v}.npz"))
        for v in variants:
            difference = compare(workload, Path(folder) / f"{v}.npz", Path(folder) / "eager.npz")
            result.difference = max(result.difference, difference)
        for w in workers.values():  # the first steps compile and take memory
            w.ask("run", seconds=seconds, least=2)
        quiet: dict[str, list[float]] = {v: [] for v in variants}
        busy: dict[str, list[float]] = {v: [] for v in variants}
        for i in range(rounds):
            order = variants if i % 2 == 0 else variants[::-1]
            for v in order:
                time.sleep(0.05)  # threads of the last worker that still spin go to sleep
                patience -= wait_for_quiet(patience)
                step, alone = block(workers[v], seconds)
                (quiet if alone else busy)[v].append(step)
        for v in variants:
            result.dropped[v] = len(busy[v])
            result.blocks[v] = quiet[v] if len(quiet[v]) >= min(3, rounds) else quiet[v] + busy[v]
            result.memory[v] = workers[v].ask("memory")
        for v in ("eager", "numpy"):
            wait_for_quiet(min(patience, 2.0))
            result.floor[v] = workers[v].ask("floor", seconds=3 * seconds)
    return result


def about(threads: int) -> dict[str, str]:
    """The machine and the versions."""
    found = {"processor": processor(), "threads": str(threads), "Python": sys.version.split()[0]}
    for variant in ("fast" if find_spec("numba") else "numpy", "eager"):
        with worker(variant, "mlp-64", threads) as w:
            w.ready()
            w.ask("run", seconds=0)
            found |= w.ask("about")
    return found


def processor() -> str:
    """The processor's name and how many cores are used."""
    name = ""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        import platform

        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"
