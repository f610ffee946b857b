"""Planted bugs are caught, and the message names a line.

All of them are planted by `python tests/gpu/mutants.py`, which writes mutants.csv; here a sample is planted
again, and the table is held against the kernels as they are.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import mutants
import pytest
from mutants import EQUIVALENT, TABLE, Mutant

from lmbook.gpu.kernels import LADDER

with TABLE.open(encoding="utf-8", newline="") as f:
    ROWS = list(csv.DictReader(f))
ALL: dict[tuple[str, int], Mutant] = {
    (m.kernel, m.number): m for rung in LADDER for m in mutants.mutants(rung)
}
SAMPLE = ROWS[::9]


def test_the_table_is_that_of_the_kernels() -> None:
    """Run `python tests/gpu/mutants.py` after a change of a kernel or a rule."""
    table = {(r["kernel"], int(r["number"])): (r["kind"], int(r["line"]), r["text"]) for r in ROWS}
    assert table == {key: (m.kind, m.line, m.text) for key, m in ALL.items()}
    kernels = {k for rung in LADDER for k in rung.kernels} - {"copy2_offset", "copy3_strided"}
    assert {r["kernel"] for r in ROWS} == kernels


def test_nearly_all_are_caught_with_a_line() -> None:
    missed = [r for r in ROWS if r["caught_by"] == "missed"]
    unexplained = [r for r in missed if (r["kernel"], r["text"]) not in EQUIVALENT]
    assert not unexplained
    assert all(r["why"] == EQUIVALENT[r["kernel"], r["text"]] for r in missed)
    assert not any(r["why"] for r in ROWS if r["caught_by"] != "missed")
    assert len(EQUIVALENT) == len({(r["kernel"], r["text"]) for r in missed}), (
        "a reason without a bug"
    )
    real = [r for r in ROWS if r["caught_by"] != "missed"]
    named = [r for r in real if int(r["line_named"]) > 0]
    assert len(ROWS) > 600 and len(named) / (len(ROWS) - len(missed)) >= 0.98
    assert not any(r["caught_by"] == "not read" for r in ROWS)
    kinds = Counter(r["kind"] for r in real)
    for kind in ("barrier removed", "off by one", "wrong stride", "swapped indices", "guard dropped",
                 "wrong start", "shuffle dropped"):  # fmt: skip
        assert kinds[kind] >= 20, kind
    races = [r for r in real if r["kind"].startswith("barrier")]
    assert {r["caught_by"] for r in races} <= {"DataRace", "UninitialisedRead"}


def test_the_book_counts_them_right() -> None:
    notebook = Path(__file__).resolve().parents[2] / "chapters/03_training/18_gpu_attention.ipynb"
    kinds = Counter(r["caught_by"] for r in ROWS)
    wrong, missed = kinds["WrongResult"], kinds["missed"]
    caught = len(ROWS) - missed
    for said in (
        f"plant {len(ROWS)} bugs; {caught} are caught, {caught - wrong} as faults",
        f"{wrong} by a wrong number",
        f"the other {missed} are equivalent",
    ):
        assert said in notebook.read_text(encoding="utf-8"), said


@pytest.mark.slow
@pytest.mark.parametrize("row", SAMPLE, ids=lambda r: f"{r['kernel']}-{r['number']}")
def test_planted_again(row: dict[str, str]) -> None:
    mutant = ALL[row["kernel"], int(row["number"])]
    assert mutants.judge(mutant) == (row["caught_by"], int(row["line_named"]))
