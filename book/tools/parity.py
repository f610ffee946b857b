"""The register behind the parity page, book/facts/parity.csv: how far lmbook is from PyTorch.

python -m book.tools.parity            run the parity tests and write the register
python -m book.tools.parity --check    run them again; exit 1 when the register says something else
python -m book.tools.parity --count    the same for names, inputs and shapes only, without computing

Errors are stated as bounds, with room for other machines: a power of ten that is at least four times
the largest float64 error, and a share of the float32 tolerance in tens of per cent, a third more than used.
"""

from __future__ import annotations

import csv
import inspect
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "book" / "facts" / "parity.csv"
FOLDERS = ("tests/autograd", "tests/functional", "tests/nn", "tests/optim", "tests/parallel")
CHECKER = "test_parity_checker.py"  # plants mistakes; what it compares is no operation of ours
ROOMS = {"lmbook": "autograd", "Tensor": "autograd"}  # others name their room
COLUMNS = ("room", "name", "variants", "inputs", "shapes", "largest", "float64", "float32",
           "gradients", "differences", "backends")  # fmt: skip
COUNTED = tuple(c for c in COLUMNS if c not in ("float64", "float32"))
Row = dict[str, str]


# --- The tests, and what they record ---------------------------------------------------------


def records(count: bool = False) -> list[dict[str, Any]]:
    """What the parity tests record; `count` leaves the computing out."""
    code = f"from book.tools.parity import run_tests; raise SystemExit(run_tests({count}))"
    return noted(code, "LMBOOK_PARITY_RECORDS")


def noted(code: str, variable: str) -> list[dict[str, Any]]:
    """Run tests in a process of their own; the records in the file that `variable` names to them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.jsonl"
        environment = {**os.environ, variable: str(path)}
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment,
                              capture_output=True, text=True)  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"the tests failed:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run_tests(count: bool) -> int:
    """Run the tests that hold something against PyTorch; return pytest's exit code."""
    import pytest

    from tests import parity

    if count:  # only here, in this process: the tests themselves cannot be told to look away
        parity._check = parity._differences = lambda *_: None
    return int(pytest.main(["-q", "-p", "no:cacheprovider", "-n", "0", *FOLDERS], [OnlyParity()]))


class OnlyParity:
    """A plugin for pytest that keeps the tests which make records."""

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Drop the others."""
        items[:] = [item for item in items if item.path.name != CHECKER and _records(item.function)]


def _records(test: Any) -> bool:
    source = inspect.getsource(test)
    return "parity(" in source or "Record(" in source


# --- From records to rows --------------------------------------------------------------------


def decade(error: float) -> str:
    """The next power of ten, from 1e-15 up."""
    return f"1e{max(-15, math.ceil(math.log10(error)) if error else -15)}"


def share(used: float) -> str:
    """Per cent of the tolerance, in tens from 10 to 100."""
    return str(min(100, max(10, 10 * math.ceil(10 * used))))


def rows(found: Iterable[dict[str, Any]], room64: float = 4, room32: float = 1.33) -> list[Row]:
    """One row for each operation or layer, its variants put together; errors with room for others."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in found:
        groups.setdefault(record["name"].split(", ")[0], []).append(record)
    made = []
    for name, group in groups.items():
        owner = name.split(".")[0]
        shapes = {shape for record in group for shape in record["shapes"]}
        variants = dict.fromkeys(", ".join(r["name"].split(", ")[1:]) for r in group)
        types = {t for record in group for t in record["dtypes"]}
        differentiable = [record for record in group if record["gradients"]]
        differences = [record for record in differentiable if record["finite"]]
        made.append({
            "room": ROOMS.get(owner, owner),
            "name": name,
            "variants": "; ".join(filter(None, variants)),
            "inputs": str(sum(record["draws"] for record in group)),
            "shapes": str(len(shapes)),
            "largest": max(sorted(shapes), key=_entries, default=""),
            "float64": decade(room64 * max(record["error64"] for record in group)),
            "float32": share(room32 * max(r["used32"] for r in group)) if "float32" in types else "",
            "gradients": "yes" if differentiable else "none",
            "differences": "yes" if differences else "none",
            "backends": " ".join(dict.fromkeys(b for r in group for b in r["backends"])),
        })  # fmt: skip
    return sorted(made, key=lambda row: (row["room"], row["name"].lower()))


def _entries(shapes: str) -> int:
    """Entries of all arrays of a text such as "(2, 3) (3,)"."""
    arrays = shapes.replace("(", "").split(")")[:-1]
    return sum(math.prod(int(n) for n in a.split(",") if n.strip()) for a in arrays)


def stated() -> list[Row]:
    """The rows of the register."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def complaints(said: list[Row], measured: list[Row], count: bool = False) -> list[str]:
    """Where the register and the tests disagree; an error may be smaller than the register says."""
    said_by, measured_by = ({row["name"]: row for row in part} for part in (said, measured))
    found = [
        f"{name}: in the register, compared by no test" for name in said_by.keys() - measured_by
    ]
    found += [f"{name}: compared, not in the register" for name in measured_by.keys() - said_by]
    for name in said_by.keys() & measured_by:
        a, b = said_by[name], measured_by[name]
        found += [
            f"{name}: {c} is {b[c]!r}, the register says {a[c]!r}" for c in COUNTED if a[c] != b[c]
        ]
        for column in () if count else ("float64", "float32"):
            if float(b[column] or 0) > float(a[column] or 0):
                found.append(f"{name}: {column} is {b[column]}, the register says {a[column]}")
    return sorted(found)


def main(arguments: list[str]) -> int:
    """Write the register, or compare it with a new run."""
    count = "--count" in arguments
    noted = records(count)
    if count or "--check" in arguments:
        found = complaints(stated(), rows(noted, 1, 1), count)
        print("\n".join(found) or "book/facts/parity.csv is in step.")
        if found:
            print("If the change is meant, run `python -m book.tools.parity`.")
        return int(bool(found))
    measured = rows(noted)
    with FILE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(measured)
    print(f"wrote {len(measured)} rows to {FILE.relative_to(ROOT).as_posix()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
