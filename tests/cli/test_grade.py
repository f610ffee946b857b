"""`lmbook grade`: a table or JSON, hidden tests, seeds, exit codes, and the export."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lmbook.grader import find
from lmbook.grader.grade import VERDICTS, Limits

ROOT = Path(__file__).resolve().parents[2]

SOUND = (
    "def sigmoid(x):\n    e = np.exp(-np.abs(x))\n    return np.where(x >= 0, 1.0, e) / (1.0 + e)"
)
PLAIN = "def sigmoid(x):\n    return 1 / (1 + np.exp(-x))"


def submission(folder: Path, name: str, source: str) -> Path:
    sources = ("import numpy as np", source, 'from lmbook.grader import check\ncheck("2.1.1-a")')
    cells = [{"cell_type": "code", "metadata": {}, "source": s, "outputs": []} for s in sources]
    path = folder / f"{name}.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [
        submission(tmp_path, "anna", SOUND),
        submission(tmp_path, "[ben]", PLAIN),
        submission(tmp_path, "carl", "import os\nos._exit(0)"),
        tmp_path / "dora.ipynb",
    ]


def test_a_table(lmbook: Any, files: list[Path]) -> None:
    said = lmbook("grade", *files, "--seed", 3, "--details", "--jobs", 2)
    rows = {
        line.split("│")[1].strip(): line for line in said.stdout.splitlines() if line[:1] == "│"
    }
    assert said.exit_code == 1  # not every file could be graded
    texts = [next(t for n, t in rows.items() if path.stem in n) for path in files]
    for text, words in zip(
        texts,
        [("graded", "2/", "2.1.1-a ✓"), ("graded", "0/", "2.1.1-a ✗"), ("exit", "0/", "ended its process"),
         ("missing", "no such file")],
    ):  # fmt: skip
        assert all(word in text for word in words), (text, words)
    assert "✗ no overflow far from zero" in said.stdout and "seed 3" in said.stdout
    hints = [t.hint for t in find("2.1.1-a").tests if t.name == "no overflow far from zero"]
    assert f"hint: {hints[0]}" in said.stdout


def test_json(lmbook: Any, files: list[Path]) -> None:
    said = lmbook("grade", *files[:2], "--json", "--seed", 3)
    found = json.loads(said.stdout)
    assert said.exit_code == 0 and found["seed"] == 3
    anna, ben = found["files"]
    assert (
        anna["verdict"] == ben["verdict"] == "graded" and anna["score"] == 2 and ben["score"] == 0
    )
    assert anna["points"] == sum(e["points"] for e in anna["exercises"])
    failed = [t["name"] for t in ben["exercises"][0]["tests"] if not t["passed"]]
    assert "no overflow far from zero" in failed


def test_hidden_tests_of_an_instructor(lmbook: Any, tmp_path: Path, files: list[Path]) -> None:
    """They count, they are sent only after the submission's cells have run, and they stay private."""
    private = tmp_path / "private.py"
    private.write_text(
        "from lmbook.grader import expect_that, find\n"
        "@find('2.1.1-a').hidden('takes a list', 'Turn it into an array first.')\n"
        "def takes_a_list(ns, rng):\n    expect_that(len(ns.sigmoid([1.0, 2.0])) == 2, 'it has no length')\n",
        encoding="utf-8",
    )
    generous = submission(tmp_path, "eva", SOUND.replace(":\n", ":\n    x = np.asarray(x)\n", 1))
    nosy = submission(
        tmp_path, "fred", SOUND + "\nfrom lmbook.grader import find\n"
        "assert not any('list' in t.name for t in find('2.1.1-a').tests)",
    )  # fmt: skip
    before = len(find("2.1.1-a").tests)
    said = lmbook("grade", files[0], generous, nosy, "--hidden", private, "--json")
    found = json.loads(said.stdout)["files"]
    assert [f["score"] for f in found] == [0, 2, 0] and not found[2]["raised"]
    (failed,) = [t for t in found[0]["exercises"][0]["tests"] if not t["passed"]]
    assert failed["name"] == "takes a list" and failed["hidden"]
    assert len(find("2.1.1-a").tests) == before


def test_the_private_file_that_the_book_shows(
    lmbook: Any, tmp_path: Path, files: list[Path]
) -> None:
    page = (ROOT / "book" / "teaching.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "private.py").write_text(text, encoding="utf-8")
    said = lmbook("grade", files[0], "--hidden", tmp_path / "private.py", "--details", "--seed", 1)
    assert said.exit_code == 0 and "✗ takes a list: " in said.stdout
    assert all(f"| {name}" in page or f", {name}" in page for name in VERDICTS)
    limits = Limits()
    assert (limits.seconds, limits.cpu, limits.memory, limits.output) == (120, 120, 2048, 1024)
    for option in re.findall(r"--[a-z][a-z-]*", page):
        assert option in lmbook("grade", "--help").stdout, option


def test_hidden_tests_that_are_broken_end_the_command(
    lmbook: Any, tmp_path: Path, files: Any
) -> None:
    private = tmp_path / "private.py"
    private.write_text("def broken(:", encoding="utf-8")
    said = lmbook("grade", files[0], "--hidden", private)
    assert said.exit_code == 2 and "private.py cannot be used: SyntaxError" in said.stderr
    assert lmbook("grade", files[0], "--hidden", tmp_path / "none.py").exit_code == 2


def test_limits_are_the_command_s(lmbook: Any, tmp_path: Path) -> None:
    slow = submission(tmp_path, "gus", "import time\ntime.sleep(60)")
    loud = submission(tmp_path, "hal", "print('x' * 3000)")
    said = lmbook("grade", slow, loud, "--timeout", 6, "--output", 2, "--json")
    assert [f["verdict"] for f in json.loads(said.stdout)["files"]] == ["time", "output"]


def test_without_files(lmbook: Any) -> None:
    said = lmbook("grade")
    assert said.exit_code == 2 and "at least one notebook" in said.stderr


def test_export(lmbook: Any, tmp_path: Path, files: list[Path]) -> None:
    said = lmbook("grade", "--export-nbgrader", tmp_path / "course")
    assert said.exit_code == 0 and (tmp_path / "course" / "nbgrader_config.py").exists()
    assert list((tmp_path / "course" / "source").rglob("*.ipynb"))
    said = lmbook("grade", "--export-nbgrader", tmp_path / "course", files[0])
    assert said.exit_code == 2 and "solution notebooks" in said.stderr
