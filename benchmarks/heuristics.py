"""Our optimisers beside SciPy's, pycma and pymoo on the BBOB functions: `python -m benchmarks.heuristics`.

Every run gets the same number of evaluations and is restarted until they are spent. What counts is when
each target from 10 to 1e-8 above the optimum was reached. Registers: `heuristics_runs.csv` with every run,
`heuristics.csv` with a row for each pair of methods and dimension, `heuristics_speed.csv` with times.
"""

import argparse
import csv
import sys
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.optimisers import ALGORITHMS, PAIRS
from lmbook.optim import bbob
from lmbook.optim import performance as p

FACTS = Path(__file__).resolve().parents[1] / "book" / "facts"
TARGETS = 10.0 ** np.arange(1, -9, -1)
BUDGETS = {2: 2000, 5: 5000, 10: 5000, 20: 6000, 40: 8000, 1000: 5000}
FEW = (1, 2, 8)
"""The functions that are run in 1000 dimensions: no rotation, and a gradient by differences costs 1001."""


def runs_of(
    dimension: int, algorithms: Iterable[str], functions: Iterable[int], instances: int
) -> list[dict[str, Any]]:
    """One row a run: hits in the order of TARGETS, with - for never."""
    rows, budget = [], BUDGETS[dimension]
    for number in functions:
        for instance in range(1, instances + 1):
            objective = bbob.problem(number, dimension, instance).excess
            for name in algorithms:
                solver = ALGORITHMS[name](dimension, budget)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # libraries' remarks on flat functions
                    r = p.record(solver, objective, TARGETS, budget, [instance])
                hits = ["-" if np.isinf(x) else str(int(x)) for x in r.hits[0]]
                rows.append(
                    {"dimension": dimension, "function": number, "instance": instance, "algorithm": name,
                     "evaluations": int(r.evaluations[0]), "hits": " ".join(hits)}
                )  # fmt: skip
    return rows


def areas(rows: list[dict[str, Any]], dimension: int, algorithm: str) -> dict[int, float]:
    """For each function the area under the ECDF of run lengths, over all targets and instances."""
    lengths: dict[int, list[float]] = {}
    for row in rows:
        if int(row["dimension"]) == dimension and row["algorithm"] == algorithm:
            found = [np.inf if x == "-" else float(x) for x in row["hits"].split()]
            lengths.setdefault(int(row["function"]), []).extend(found)
    return {i: p.area(x, 1, BUDGETS[dimension]) for i, x in lengths.items()}


def compare(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a pair and dimension: mean areas, the interval of their difference, and a test.

    The interval is a bootstrap over functions. The p-values are Wilcoxon's, corrected by Holm's method.
    The verdict is "worse" where the interval lies below zero, and "better" where it lies above and Holm's
    p-value is below 0.05. Elsewhere no difference is shown, which does not mean that there is none: `low`
    says how far ours may be behind.
    """
    out = []
    for dimension in sorted({int(row["dimension"]) for row in rows}):
        for ours, theirs in PAIRS.items():
            a, b = (areas(rows, dimension, name) for name in (ours, theirs))
            common = sorted(a.keys() & b.keys())
            if not common:
                continue
            x, y = (np.array([area[i] for i in common]) for area in (a, b))
            drawn = np.random.default_rng(0).integers(0, len(x), (4000, len(x)))
            low, high = np.quantile((x - y)[drawn].mean(axis=1), [0.025, 0.975])
            out.append(
                {"dimension": dimension, "ours": ours, "library": theirs, "functions": len(x),
                 "area": x.mean(), "library_area": y.mean(), "low": low, "high": high,
                 "pvalue": p.wilcoxon(x, y).pvalue}
            )  # fmt: skip
    for row, corrected in zip(out, p.holm([row["pvalue"] for row in out])):
        row["holm"] = corrected
        better = row["low"] > 0 and corrected < 0.05
        row["verdict"] = (
            "worse" if row["high"] < 0 else "better" if better else "no difference shown"
        )
    return out


def speed(dimension: int, evaluations: int, rounds: int) -> list[dict[str, Any]]:
    """Microseconds of processor time an evaluation of the sphere: the least of `rounds` that take turns."""

    def sphere(x: np.ndarray) -> np.ndarray:
        return ((x - 0.5) ** 2).sum(axis=-1)

    out = []
    for pair in PAIRS.items():
        least = dict.fromkeys(pair, np.inf)
        for i in range(rounds):
            for name in pair:
                solver = ALGORITHMS[name](dimension, evaluations)
                start = time.process_time()
                p.record(solver, sphere, [-1.0], evaluations, [i])
                spent = 1e6 * (time.process_time() - start) / evaluations
                least[name] = min(least[name], spent)
        ours, theirs = least.values()
        out.append(
            {"ours": pair[0], "library": pair[1], "ours_us": ours, "library_us": theirs,
             "ratio": ours / theirs}
        )  # fmt: skip
    return out


def save(name: str, rows: list[dict[str, Any]]) -> None:
    """Write a register; numbers with four digits."""
    with (FACTS / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()})


def load(name: str) -> list[dict[str, Any]]:
    """A register as it was written, or none."""
    path = FACTS / name
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def merge(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Old rows and new ones, which replace those of the same run."""

    def key(row: dict[str, Any]) -> tuple[int, int, int, int]:
        numbers = (int(row[k]) for k in ("dimension", "function", "instance"))
        return (*numbers, list(ALGORITHMS).index(row["algorithm"]))

    rows = {key(row): row for row in [*old, *new]}
    return [rows[k] for k in sorted(rows)]


def main() -> int:
    """Run, write the registers, print; exit code 1 where ours is shown to be worse, or is slower."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.heuristics", description=__doc__)
    parser.add_argument("--dimensions", type=int, nargs="+", choices=BUDGETS, default=[*BUDGETS])
    parser.add_argument("--algorithms", nargs="+", choices=ALGORITHMS, default=[*ALGORITHMS])
    parser.add_argument(
        "--instances", type=int, default=3, help="of each function; one in 1000 dimensions"
    )
    parser.add_argument("--skip-speed", action="store_true")
    arguments = parser.parse_args()
    for dimension in arguments.dimensions:
        few = dimension >= 1000
        functions = FEW if few else bbob.FUNCTIONS
        found = runs_of(
            dimension, arguments.algorithms, functions, 1 if few else arguments.instances
        )
        save("heuristics_runs.csv", merge(load("heuristics_runs.csv"), found))
    table = compare(load("heuristics_runs.csv"))
    save("heuristics.csv", table)
    if not arguments.skip_speed:
        save("heuristics_speed.csv", speed(10, 4000, 7))
    print(f"{'':5}{'ours':14}{'library':20}{'area':>7}{'theirs':>8}  interval of the difference")
    for row in table:
        print(f"{row['dimension']:<5}{row['ours']:14}{row['library']:20}{row['area']:7.3f}"
              f"{row['library_area']:8.3f}  {row['low']:+.3f} to {row['high']:+.3f}  "
              f"{row['verdict']}")  # fmt: skip
    times = load("heuristics_speed.csv")
    for row in times:
        print(
            f"{row['ours']:14}{float(row['ratio']):6.2f} times the processor time of {row['library']}"
        )
    return int(
        any(r["verdict"] == "worse" for r in table) or any(float(r["ratio"]) > 1 for r in times)
    )


if __name__ == "__main__":
    sys.exit(main())
