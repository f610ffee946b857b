"""What the page book/kernels.md is made of: every kernel run by three readers, counted by two, and compiled.

python -m book.tools.kernel_facts    write book/facts/kernels_*.csv; needs NVRTC and g++, takes a minute

The readers are the simulator, the PTX runner on the code of NVIDIA's compiler, and g++. Differences from
NumPy in double precision depend on the machine's libraries in their last digits, so a bound is kept: the next
power of ten above four times the largest, but no more than the tests allow. Counters are exact.
"""

from __future__ import annotations

import csv
import math
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from book.tools.kernel_claims import CLAIMS, RUNGS, cases
from lmbook.gpu import ARCHITECTURES, Counts, Kernel, Report, nvrtc, ptx
from lmbook.gpu.kernels import Launch, Plan, Rung, copy_offset, copy_strided
from lmbook.gpu.simulator.launch import triple
from tests.gpu import host_build
from tests.gpu.agreement import SAME, inputs, typed

ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT / "book" / "facts"
AGREEMENT = FACTS / "kernels_agreement.csv"
COUNTED = FACTS / "kernels_counted.csv"
CLAIMED = FACTS / "kernels_claims.csv"
COMPILED = FACTS / "kernels_compiled.csv"
TOOLS = FACTS / "kernels_tools.csv"
ROOM = 4.0
ARCH = "sm_80"
COUNTERS = tuple(f.name for f in fields(Counts))
Row = dict[str, str]
Reader = Callable[[Rung, Kernel, Launch, list[Any]], Report | None]

# --- the three readers ------------------------------------------------------------------------


def simulated(rung: Rung, kernel: Kernel, x: Launch, args: list[Any]) -> Report:
    """The simulator, on the CUDA C."""
    return kernel.simulate(x.grid, x.block, args, shared_mem=x.shared_mem)


def compiled(rung: Rung, kernel: Kernel, x: Launch, args: list[Any]) -> Report:
    """The PTX runner, on what NVIDIA's compiler made of it."""
    grid, block = triple(x.grid, "grid"), triple(x.block, "block")
    code = kernel.compile(ARCH).ptx
    return ptx.run(code, x.kernel, grid, block, args, x.shared_mem, kernel.source)


def host(folder: Path) -> Reader:
    """g++, on the CUDA C with a prelude that knows no GPU."""

    def reader(rung: Rung, kernel: Kernel, x: Launch, args: list[Any]) -> None:
        library = host_build.library(rung.source, tuple(rung.kernels), folder)
        host_build.run(library, kernel, x.grid, x.block, args, x.shared_mem)

    return reader


def carry_out(
    rung: Rung, plan: Plan, reader: Reader
) -> tuple[list[np.ndarray], list[Report | None]]:
    """Run a plan's launches by a reader, on copies; its outputs and reports."""
    copied: dict[int, np.ndarray] = {}
    reports = []
    for x in plan.launches:
        kernel = rung.kernel(x.kernel)
        reports.append(reader(rung, kernel, x, typed(kernel, x, copied)))
    return [copied[id(a)] for a in plan.outputs], reports


# --- agreement on awkward sizes ---------------------------------------------------------------


def trials(key: str) -> Iterator[tuple[str, Plan, Sequence[np.ndarray]]]:
    """Name, plan and NumPy's results, for each version at each awkward size of a rung."""
    rung = RUNGS[key]
    for size in rung.sizes:
        rng = np.random.default_rng(4)
        for name in rung.versions:
            given = inputs(rung, name, size, rng)
            yield name, rung.plan(name, *given), rung.reference(*map(exact, given))
        if key == "copy":
            x = rng.standard_normal(size, np.float32)
            shifted, spread = np.zeros_like(x), np.zeros_like(x)
            shifted[: max(0, size - 3)], spread[::7] = x[3:], x[::7]
            yield "copy2_offset", copy_offset(x, 3), (shifted,)
            yield "copy3_strided", copy_strided(x, 7), (spread,)


def exact(given: Any) -> Any:
    """An input in double precision, if it is a float array: what NumPy computes from it hardly rounds."""
    floating = isinstance(given, np.ndarray) and given.dtype == np.float32
    return given.astype(np.float64) if floating else given


def difference(outputs: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """The largest |got - NumPy's| / (1 + |NumPy's|); equal infinities count 0, what is no number infinity."""
    worst = 0.0
    for got, want in zip(outputs, expected, strict=True):
        with np.errstate(invalid="ignore"):
            gap = np.abs(got - np.asarray(want, np.float64)) / (1 + np.abs(want))
        gap = np.where(got == want, 0.0, gap)
        worst = max(worst, float(np.where(np.isnan(gap), np.inf, gap).max(initial=0.0)))
    return worst


def bound(error: float, most: float) -> str:
    """0 where nothing differs, else the next power of ten above four times the error, up to `most`."""
    return f"{min(10.0 ** math.ceil(math.log10(ROOM * error)), most):.0e}" if error else "0"


def unequal(ours: Sequence[Report], theirs: Sequence[Report]) -> set[str]:
    """Counters on which two readers differ in some launch."""
    found = {
        name
        for a, b in zip(ours, theirs, strict=True)
        for name in SAME
        if getattr(a.total, name) != getattr(b.total, name)
    }
    touched = any(a.bytes_touched != b.bytes_touched for a, b in zip(ours, theirs, strict=True))
    return found | ({"bytes_touched"} if touched else set())


def agreement(key: str, readers: dict[str, Reader]) -> list[Row]:
    """A row for each version: bounds on the difference of each reader, and the counters that differ."""
    rung = RUNGS[key]
    worst: dict[str, dict[str, float]] = {}
    differ: dict[str, set[str]] = {}
    for name, plan, expected in trials(key):
        reports: dict[str, list[Any]] = {}
        for reader, run in readers.items():
            outputs, reports[reader] = carry_out(rung, plan, run)
            error = difference(outputs, expected)
            if error > rung.tolerance:
                raise RuntimeError(f"{name}: {reader} is {error:.1e} from NumPy; nothing is stored")
            known = worst.setdefault(name, {})
            known[reader] = max(known.get(reader, 0.0), error)
        if "ptx" in readers:
            differ.setdefault(name, set()).update(unequal(reports["simulator"], reports["ptx"]))
    sizes = "; ".join(shown(size) for size in rung.sizes)
    return [
        {
            "rung": key, "version": name, "sizes": sizes,
            **{reader: bound(worst[name][reader], rung.tolerance) for reader in readers},
            **({"unequal": " ".join(sorted(differ[name]))} if "ptx" in readers else {}),
        }
        for name in sorted(worst)
    ]  # fmt: skip


def shown(size: Any) -> str:
    """A size as 33 x 31."""
    return " x ".join(str(n) for n in size) if isinstance(size, tuple) else str(size)


# --- counters ---------------------------------------------------------------------------------


def counted(key: str, readers: dict[str, Reader]) -> tuple[list[Row], list[Row]]:
    """Counters of each case by each reader; each claim's theory beside what the readers counted."""
    found = {
        (name, reader): carry_out(RUNGS[key], plan, run)[1]
        for name, plan in cases(key).items()
        for reader, run in readers.items()
    }
    counters, claims = [], []
    for (name, reader), reports in found.items():
        sums = {c: str(sum(getattr(r.total, c) for r in reports if r)) for c in COUNTERS}
        bytes_touched = str(sum(r.bytes_touched for r in reports if r))
        counters.append(
            {"rung": key, "case": name, "by": reader, **sums, "bytes_touched": bytes_touched}
        )
    for c in CLAIMS[key]:
        values = {
            reader: number(c.value(found[c.version, reader]))  # type: ignore[arg-type]
            if c.compiled or reader == "simulator"
            else ""
            for reader in readers
        }
        said = {"version": c.version, "what": c.what, "formula": c.formula}
        claims.append({"rung": key, **said, "theory": number(c.theory), **values})
    return counters, claims


def number(value: float) -> str:
    """As short as it is exact."""
    return f"{value:.10g}"


# --- the compiler -----------------------------------------------------------------------------


def built(key: str) -> list[Row]:
    """Registers, shared memory and spills of each kernel for each architecture."""
    rung = RUNGS[key]
    launches = {x.kernel: x for plan in cases(key).values() for x in plan.launches}
    rows = []
    for name, x in launches.items():
        for arch in ARCHITECTURES:
            c = rung.kernel(name).compile(arch)
            rows.append({
                "rung": key, "kernel": name, "threads": str(math.prod(triple(x.block, "block"))),
                "dynamic": str(x.shared_mem), "arch": arch, "registers": str(c.registers),
                "shared": str(c.shared), "spilled": str(c.spill_stores + c.spill_loads),
            })  # fmt: skip
    return rows


def tools() -> list[Row]:
    """Versions of what made the tables."""
    gcc = subprocess.run(["g++", "-dumpfullversion"], capture_output=True, text=True, check=True)
    versions = {
        "NVRTC": nvrtc.version(), "g++": gcc.stdout.strip(), "NumPy": np.__version__,
        "Python": platform.python_version(), "PTX of": ARCH,
    }  # fmt: skip
    return [{"what": k, "value": v} for k, v in versions.items()]


# --- the registers ----------------------------------------------------------------------------


def read(path: Path) -> list[Row]:
    """The rows of a register."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def save(path: Path, rows: list[Row]) -> None:
    """Write a register."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> int:
    """Measure all, write all."""
    tables: dict[Path, list[Row]] = {p: [] for p in (AGREEMENT, COUNTED, CLAIMED, COMPILED)}
    with tempfile.TemporaryDirectory() as folder:
        counting: dict[str, Reader] = {"simulator": simulated, "ptx": compiled}
        readers = {**counting, "host": host(Path(folder))}
        for key in RUNGS:
            print(key, flush=True)
            tables[AGREEMENT] += agreement(key, readers)
            counters, claims = counted(key, counting)
            tables[COUNTED] += counters
            tables[CLAIMED] += claims
            tables[COMPILED] += built(key)
    for path, rows in tables.items():
        save(path, rows)
    save(TOOLS, tools())
    return 0


if __name__ == "__main__":
    sys.exit(main())
