"""Marks around answers, and the export to nbgrader."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from book.tools import exercises as tool
from lmbook.grader import exercises
from lmbook.grader.export import ExportError, export
from lmbook.grader.markers import for_nbgrader, has_starter, strip

BLOCK = "def f(x):\n    # BEGIN SOLUTION\n    y = x\n    return y\n    # END SOLUTION\n\nf(1)"
START = (
    "def f(x):\n    # BEGIN SOLUTION\n    return x\n"
    "    # STARTER\n    # return -x\n    #\n    # # why\n    # END SOLUTION"
)


def test_strip() -> None:
    assert strip(BLOCK) == 'def f(x):\n    raise NotImplementedError("your code here")\n\nf(1)'
    assert strip(START).rstrip() == "def f(x):\n    return -x\n\n    # why" and has_starter(START)
    assert strip("n = 3  # SOLUTION\nm = n") == "n = ...\nm = n"
    assert strip("# BEGIN SOLUTION\nx = 1\n# END SOLUTION") == "...  # your code here"
    assert strip("a == 3  # SOLUTION") == "a == 3  # SOLUTION"  # left for the leak check to refuse


def test_marks_of_nbgrader() -> None:
    assert for_nbgrader(BLOCK) == BLOCK.replace("# BEGIN", "### BEGIN").replace("# END", "### END")
    line = "  n = ...\n  ### BEGIN SOLUTION\n  n = 3\n  ### END SOLUTION"
    assert for_nbgrader("  n = 3  # SOLUTION") == line
    assert "STARTER" not in for_nbgrader(START) and "-x" not in for_nbgrader(START)


def graded_cells(path: Path) -> dict[str, dict[str, Any]]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return {c["metadata"]["nbgrader"]["grade_id"]: c for c in cells if "nbgrader" in c["metadata"]}


def test_export_of_the_book_s_solutions(tmp_path: Path) -> None:
    written = export(tool.solutions(), tmp_path)
    assert written[-1].name == "nbgrader_config.py"
    found = {name: cell for path in written[:-1] for name, cell in graded_cells(path).items()}
    cells = [
        c for path in written[:-1] for c in json.loads(path.read_text(encoding="utf-8"))["cells"]
    ]
    starters = {c["id"]: c["source"] for c in cells if c["id"].startswith("starter-")}
    for e in exercises():
        (questions,) = (c["source"] for c in cells if f"**{e.id}**" in c["source"])
        key = e.id.replace(".", "-")
        answer, test = found[f"answer-{key}"], found[f"test-{key}"]
        marks = answer["metadata"]["nbgrader"]
        assert marks["solution"] and not marks["grade"] and "### BEGIN SOLUTION" in answer["source"]
        marks = test["metadata"]["nbgrader"]
        assert marks["grade"] and marks["locked"] and marks["points"] == e.points
        ast.parse(test["source"])
        # what a student gets, after nbgrader has taken the answer out, names what the check needs
        given = re.sub(r"(?s)### BEGIN SOLUTION.*?### END SOLUTION", "", answer["source"])
        given += starters.get(f"starter-{key}", "") + questions
        assert all(re.search(rf"\b{name}\b", given) for name in e.needs), (e.id, e.needs)
    for path in written[:-1]:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert not any("solution-only" in c["metadata"].get("tags", []) for c in cells)
        assert len({c["id"] for c in cells}) == len(cells)
        assert path == tmp_path / "source" / path.stem / path.name


def test_a_test_cell_fails_until_the_answer_is_right(tmp_path: Path, home: Path) -> None:
    (path, _) = export([p for p in tool.solutions() if "01_structure" in p.name], tmp_path)
    cell = graded_cells(path)["test-2-1-1-a"]["source"]
    with pytest.raises(AssertionError, match="see what the check says"):
        exec(cell, {"sigmoid": lambda x: x})


def test_an_instructor_s_settings_stay(tmp_path: Path) -> None:
    (tmp_path / "nbgrader_config.py").write_text("mine", encoding="utf-8")
    export(tool.solutions()[:1], tmp_path)
    assert (tmp_path / "nbgrader_config.py").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("text", ["", "[]", '{"cells": []}', '{"cells": [{"cell_type": "code"}]}'])
def test_what_is_not_a_solution_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.ipynb"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ExportError, match=r"x\.ipynb"):
        export([path], tmp_path)
