"""What the page book/models.md is made of: what the tests of whole models note while they run.

The tests compare through `tests/models/proofs.py`, which appends a record of each comparison to a file that
the environment names. Differences depend on a machine's libraries in their last digits, so a bound is kept:
the next power of ten above four times the largest, but no more than the test allows.
"""

from __future__ import annotations

import csv
import inspect
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from book.tools import parity
from tests.models.proofs import RECORDS

ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT / "book" / "facts"
SIZES, LOGITS, MEMORY = (FACTS / f"models_{name}.csv" for name in ("sizes", "logits", "memory"))
ROOM = 4.0
LEAST = {"float32": 1e-7, "float64": 1e-15}  # where nothing differs here, something may elsewhere
COLUMNS = {
    SIZES: ("family", "module", "model", "size", "counted", "parameters", "reference", "within",
            "source", "test"),
    LOGITS: ("family", "module", "model", "name", "reference", "names", "weights", "compared", "per",
             "dtype", "values", "bound", "limit", "test"),
    MEMORY: ("family", "module", "model", "name", "step", "bytes", "bound", "limit", "test"),
}  # fmt: skip
FAMILIES = {
    "language": ("bert", "gpt", "t5", "llama", "deepseek", "transformer"),
    "vision": ("lenet", "alexnet", "vgg", "resnet", "efficientnet", "vit"),
    "audio": ("wavenet", "ctc", "wav2vec2", "audio_mae"),
    "recommendation": ("matrix_factorization", "ncf", "factorization_machine", "autoint"),
    "sentences": ("sentences",),
}
Row = dict[str, str]
Tables = dict[Path, list[Row]]


# --- The tests, and what they note -----------------------------------------------------------


def records() -> list[dict[str, Any]]:
    """What the tests of models note."""
    code = "from book.tools.model_facts import run_tests; raise SystemExit(run_tests())"
    return parity.noted(code, RECORDS)


def run_tests() -> int:
    """Run the tests that note something; return pytest's exit code."""
    import pytest

    options = ["-q", "-p", "no:cacheprovider", "-n", "0", "tests/models"]
    return int(pytest.main(options, [OnlyNoted()]))


class OnlyNoted:
    """A plugin for pytest that keeps the tests which make records."""

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Drop the others."""
        calls = re.compile(r"\b(close|sized|note|same_logits)\(")
        items[:] = [item for item in items if calls.search(inspect.getsource(item.function))]


# --- From records to rows --------------------------------------------------------------------


def tables(found: Iterable[dict[str, Any]], room: float = ROOM) -> Tables:
    """The rows of the three registers."""
    kinds: dict[str, list[dict[str, Any]]] = {"sizes": [], "logits": [], "memory": []}
    for record in found:
        kinds[record["kind"]].append(record)
    return {
        SIZES: ordered(SIZES, map(size, kinds["sizes"])),
        LOGITS: ordered(LOGITS, logits(kinds["logits"], room)),
        MEMORY: ordered(MEMORY, (memory(r, room) for r in kinds["memory"])),
    }


def ordered(path: Path, rows: Iterable[Row]) -> list[Row]:
    """By family and module, else as the tests ran."""
    places = [module for modules in FAMILIES.values() for module in modules]
    made = [{column: row[column] for column in COLUMNS[path]} for row in rows]
    return sorted(made, key=lambda row: places.index(row["module"]))


def home(record: dict[str, Any]) -> Row:
    """Family, module, class and test of a record."""
    module = record["module"].rpartition(".")[2]
    family = next((name for name, modules in FAMILIES.items() if module in modules), None)
    if family is None:
        raise KeyError(f"{record['module']} is in no family: add it to FAMILIES")
    return {
        "family": family, "module": module, "model": record["model"], "test": record["test"],
    }  # fmt: skip


def size(record: dict[str, Any]) -> Row:
    """A count and what it is held against."""
    return home(record) | {
        "size": record["name"], "counted": record["counted"], "parameters": str(record["ours"]),
        "reference": f"{record['theirs']:.0f}", "within": f"{record['within']:.3g}",
        "source": record["source"],
    }  # fmt: skip


def logits(found: Iterable[dict[str, Any]], room: float) -> list[Row]:
    """A row for each thing compared of a pair in one type: all values together, the largest difference."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for r in found:
        groups.setdefault((r["name"], r["compared"], r["dtype"]), []).append(r)
    rows = []
    for (name, compared, dtype), group in groups.items():
        first = group[0]
        same = {(r["theirs"], r["names"], r["limit"], r["per"], r["test"]) for r in group}
        if len(same) > 1:
            raise ValueError(f"{name}, {compared}: one name for two comparisons: {sorted(same)}")
        worst = max(r["difference"] for r in group)
        rows.append(home(first) | {
            "name": name, "reference": first["theirs"], "names": first["names"],
            "weights": "trained" if first["real"] else "random", "compared": compared,
            "per": first["per"], "dtype": dtype, "values": str(sum(r["values"] for r in group)),
            "bound": bound(worst, first["limit"], dtype, room), "limit": f"{first['limit']:.0e}",
        })  # fmt: skip
    return rows


def bound(error: float, most: float, dtype: str, room: float = ROOM) -> str:
    """The next power of ten above `room` times an error: no less than rounding, no more than `most`."""
    above = 10.0 ** math.ceil(math.log10(room * error)) if error else 0.0
    return f"{min(max(above, LEAST[dtype]), most):.0e}"


def memory(record: dict[str, Any], room: float) -> Row:
    """Memory over the bytes of the weights in float32, to the next tenth."""
    ratio = record["ratio"]
    if room > 1:
        ratio = min(math.ceil(10 * ratio) / 10, record["limit"])
    return home(record) | {
        "name": f"GPT-2's shape, {record['layers']} layers, {record['dtype']} file",
        "step": record["step"], "bytes": str(record["weights"]), "bound": f"{ratio:.3g}",
        "limit": f"{record['limit']:.3g}",
    }  # fmt: skip


def read(path: Path) -> list[Row]:
    """The rows of a register."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def save(path: Path, rows: list[Row]) -> None:
    """Write a register."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS[path], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def complaints(path: Path, said: list[Row], measured: list[Row]) -> list[str]:
    """Where a register and the tests disagree; a difference may be smaller than the register says."""
    keys = [
        c for c in COLUMNS[path] if c not in ("bound", "values", "parameters", "reference", "limit")
    ]
    by = [
        {", ".join(filter(None, (row[k] for k in keys))): row for row in rows}
        for rows in (said, measured)
    ]
    then, now = by
    found = [f"{key}: in the register, noted by no test" for key in then.keys() - now]
    found += [f"{key}: noted, not in the register" for key in now.keys() - then]
    for key in then.keys() & now:
        for column, value in now[key].items():
            old = then[key][column]
            if value != old and (column != "bound" or float(value) > float(old)):
                found.append(f"{key}: {column} is {value}, the register says {old}")
    return sorted(found)
