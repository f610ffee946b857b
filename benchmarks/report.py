"""The table in the terminal, and the registers that the book's page is made from."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.runner import ROOT, VARIANTS, Result
from benchmarks.workloads import WORKLOADS

FACTS = ROOT / "book" / "facts" / "speed.csv"
MACHINE = ROOT / "book" / "facts" / "speed_machine.csv"


def geometric_mean(ratios: list[float]) -> float:
    """The n-th root of the product."""
    return float(np.exp(np.mean(np.log(ratios))))


def table(results: list[Result]) -> Any:
    """A table for the terminal: milliseconds, time over PyTorch eager's, memory."""
    from rich.table import Table

    shown = [v for v in VARIANTS if any(v in r.blocks for r in results)]
    made = Table(title="One step: ms (range), time over PyTorch eager's, peak memory in MB")
    made.add_column("Workload")
    for v in shown:
        made.add_column(VARIANTS[v][2], justify="right")
    made.add_column("products alone, PyTorch / NumPy", justify="right")
    for r in results:
        cells = [r.workload.title]
        for v in shown:
            if v not in r.blocks:
                cells.append("")
                continue
            low, high = 1e3 * min(r.blocks[v]), 1e3 * max(r.blocks[v])
            noise = f", {r.dropped[v]} busy" if r.dropped[v] else ""
            cells.append(
                f"[bold]{r.ratio(v):.2f}[/]  {1e3 * r.median(v):.2f} ms ({low:.2f} to {high:.2f}{noise})  "
                f"{r.memory[v]:.0f} MB"
            )
        floors = [f"{1e3 * r.floor[v]:.2f}" for v in ("eager", "numpy") if v in r.floor]
        made.add_row(*cells, " / ".join(floors))
    means = [geometric_mean([r.ratio(v) for r in results if v in r.blocks]) for v in shown]
    made.add_section()
    made.add_row("Geometric mean", *(f"[bold]{m:.2f}[/]" for m in means), "")
    return made


def write(results: list[Result], machine: dict[str, str]) -> None:
    """Put the results into the register, in place of older rows of the same workloads."""
    new = [row for r in results for row in r.rows()]
    measured = {row["workload"] for row in new}
    old = [row for row in read(FACTS) if row["workload"] not in measured]
    order = list(WORKLOADS)
    rows = sorted([*old, *new], key=lambda row: order.index(row["workload"]))
    save(FACTS, rows)
    save(MACHINE, [{"what": k, "value": v} for k, v in machine.items()])


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a register, none if there is none."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def save(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a register."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
