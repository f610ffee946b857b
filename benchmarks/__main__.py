"""The command line: `python -m benchmarks`."""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.chart import draw
from benchmarks.report import FACTS, table, write
from benchmarks.runner import ROOT, about, measure
from benchmarks.workloads import WORKLOADS


def main() -> int:
    """Measure, print the table, and write what the book's page is made from."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 short blocks each, writes no page")
    parser.add_argument("--workloads", nargs="+", choices=[*WORKLOADS], default=[*WORKLOADS])
    parser.add_argument("--threads", type=int, default=2, help="threads of each library")
    parser.add_argument(
        "--patience", type=float, default=20.0,
        help="seconds to wait, for each workload, while other programs are busy",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, help="also write every block's time to this file")
    arguments = parser.parse_args()
    rounds, seconds = (3, 0.2) if arguments.quick else (9, 0.35)
    from rich.console import Console

    progress, output = Console(stderr=True), Console()
    results = []
    for name in arguments.workloads:
        with progress.status(f"{WORKLOADS[name].title} ..."):
            results.append(
                measure(WORKLOADS[name], rounds, seconds, arguments.threads, arguments.patience)
            )
        r = results[-1]
        progress.print(f"{name}: gradients agree to {r.difference:.1g}; lmbook with numba "
                       f"{r.ratio('fast') if 'fast' in r.blocks else float('nan'):.2f}")  # fmt: skip
    output.print(table(results))
    absent = {f"{v}: {why}" for r in results for v, why in r.absent.items()}
    for line in sorted(absent):
        output.print(line)
    machine = about(arguments.threads)
    for key, value in machine.items():
        output.print(f"{key}: {value}")
    if arguments.json:
        found = {"machine": machine, "results": [r.to_json() for r in results]}
        arguments.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    if not arguments.quick:
        write(results, machine)
        output.print(f"wrote {FACTS.relative_to(ROOT)} and {draw().relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
