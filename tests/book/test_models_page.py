"""The page of models is in step; its registers have every size, with the count of our build."""

from __future__ import annotations

import importlib
import pkgutil
import re
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import pytest

from book.tools import model_facts as facts
from book.tools import models as tool
from lmbook import models
from lmbook.nn.init import shapes_only

ROOT = Path(__file__).resolve().parents[2]
SLOW = ("deepseek-v2", "deepseek-v3")  # thousands of experts; test_published_sizes builds them
RUN = "run `python -m book.tools.models`"


def size_tables() -> dict[tuple[str, str], Any]:
    """Module, name and config of every entry of every table of sizes in the package."""
    found = {}
    for module in pkgutil.iter_modules(models.__path__):
        for name, table in vars(importlib.import_module(f"lmbook.models.{module.name}")).items():
            if name.isupper() and not name.startswith("_") and isinstance(table, dict):
                configs = {k: c for k, c in table.items() if is_dataclass(c)}
                home = {type(c).__module__.rpartition(".")[2] for c in configs.values()}
                if home == {module.name}:
                    found |= {(module.name, key): config for key, config in configs.items()}
    return found


def test_the_page_is_in_step() -> None:
    assert tool.page() == tool.FILE.read_text("utf-8"), "run `python -m book.tools.models --page`"


def test_a_stale_page_is_named(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tool, "FILE", tmp_path / "models.md")
    monkeypatch.setattr(facts, "records", list)
    monkeypatch.setattr(facts, "complaints", lambda *_: [])
    assert tool.main(["--check"]) == 1
    assert "book/models.md is out of step" in capsys.readouterr().out
    assert tool.main(["--page"]) == 0 == tool.main(["--check"])


def test_every_published_size_has_a_row_with_the_count_of_its_build() -> None:
    rows = {
        (r["module"], r["size"]): r for r in facts.read(facts.SIZES) if r["counted"] != "active"
    }
    tables = size_tables()
    assert len(tables) > 90
    missing = tables.keys() - rows.keys()
    assert not missing, f"{sorted(missing)} stand in a table of sizes: prove them, then {RUN}"
    page = tool.FILE.read_text("utf-8")
    for (module, name), config in tables.items():
        row = rows[module, name]
        assert f"| `{name}`[" in page and f"| {int(row['parameters']):,} |" in page
        if name not in SLOW:
            kind = getattr(importlib.import_module(f"lmbook.models.{module}"), row["model"])
            with shapes_only():
                count = kind(config).num_parameters()
            assert int(row["parameters"]) == count, f"{name}: {RUN}"


def test_counts_are_the_references() -> None:
    exact = set()
    for row in facts.read(facts.SIZES):
        ours, theirs, within = (float(row[c]) for c in ("parameters", "reference", "within"))
        assert abs(ours - theirs) <= within * theirs * 1.01, row["size"]
        if not within:
            exact.add((row["module"], row["size"]))
    assert exact >= size_tables().keys()


def test_bounds_are_inside_the_limits() -> None:
    for path in (facts.LOGITS, facts.MEMORY):
        for row in facts.read(path):
            assert 0 < float(row["bound"]) <= float(row["limit"]), row["name"]
    assert all(int(row["values"]) > 0 for row in facts.read(facts.LOGITS))


def test_classes_and_tests_exist() -> None:
    for path in facts.COLUMNS:
        for row in facts.read(path):
            module = importlib.import_module(f"lmbook.models.{row['module']}")
            assert hasattr(module, row["model"]), row
            file, _, test = row["test"].partition("::")
            assert re.search(rf"^def {test}\(", (ROOT / file).read_text("utf-8"), re.M), row["test"]


def test_every_model_that_compares_is_on_the_page() -> None:
    """Each family has its tables, and each row of the registers its line."""
    page = tool.FILE.read_text("utf-8")
    for row in facts.read(facts.LOGITS):
        assert f"| {row['name']}" in page and facts.FAMILIES[row["family"]], row["name"]
    assert {r["family"] for r in facts.read(facts.SIZES)} == set(facts.FAMILIES)
    assert {r["weights"] for r in facts.read(facts.LOGITS)} == {"random", "trained"}
    assert page.count("class: register models") == 5 + 4 + 2


RECORD: dict[str, Any] = {
    "kind": "logits", "test": "t.py::test", "module": "lmbook.models.gpt", "model": "GPT", "name": "gpt2",
    "theirs": "transformers GPT2LMHeadModel", "names": "gpt2", "real": False, "compared": "logits", "per": "",
    "dtype": "float32", "values": 10, "limit": 1e-4, "difference": 2e-6,
}  # fmt: skip


def test_records_become_rows() -> None:
    more = RECORD | {"values": 5, "difference": 3e-6}
    (row,) = facts.logits([RECORD, more], facts.ROOM)
    assert (row["values"], row["bound"], row["limit"]) == ("15", "1e-04", "1e-04")
    assert facts.bound(2e-6, 1e-4, "float32") == "1e-05" == facts.bound(2e-6, 1e-4, "float64", 1)
    assert facts.bound(0, 1e-4, "float64") == "1e-15" and facts.bound(0, 1e-4, "float32") == "1e-07"
    assert facts.bound(9e-6, 2e-5, "float64") == "2e-05"
    with pytest.raises(ValueError, match="gpt2, logits: one name for two comparisons"):
        facts.logits([RECORD, more | {"limit": 1e-5}], facts.ROOM)
    with pytest.raises(KeyError, match=r"lmbook\.models\.new is in no family"):
        facts.logits([RECORD | {"module": "lmbook.models.new"}], facts.ROOM)
    used = {
        "kind": "memory",
        "layers": 2,
        "dtype": "float32",
        "step": "loaded",
        "weights": 8,
        "limit": 1.2,
    }
    for ratio, said in ((1.001, "1.1"), (1.19, "1.2"), (0.01, "0.1")):
        assert facts.memory({**RECORD, **used, "ratio": ratio}, facts.ROOM)["bound"] == said


def test_a_register_that_is_out_of_step_is_noticed() -> None:
    for path in facts.COLUMNS:
        said = facts.read(path)
        assert facts.complaints(path, said, said) == []
        assert facts.complaints(path, said[1:], said)[0].endswith("noted, not in the register")
        assert facts.complaints(path, said, said[1:])[0].endswith(
            "in the register, noted by no test"
        )
    said = facts.read(facts.LOGITS)
    for column, value, bad in (
        ("bound", "1e-20", 0),
        ("bound", "1", 1),
        ("values", "1", 1),
        ("limit", "1", 1),
    ):
        found = facts.complaints(facts.LOGITS, said, [said[0] | {column: value}, *said[1:]])
        assert len(found) == bad and all(f"{column} is {value}" in line for line in found)
