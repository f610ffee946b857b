"""Every exercise: its solution scores full marks, the hand-out nothing, and wrong answers fail."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

import nbformat
import pytest

from book.tools import exercises as tool
from book.tools import notebooks, proof
from lmbook.grader import exercises
from lmbook.grader.grade import Limits, grade

SECTIONS = sorted({e.section for e in exercises()})
ROOT = notebooks.ROOT


def test_there_are_exercises_in_every_solution_notebook() -> None:
    found = {i for p in tool.solutions() for i in tool.answer_cells(notebooks.read(p))}
    assert found == {e.id for e in exercises()}


def test_the_hand_outs_are_in_step_with_the_solutions() -> None:
    assert tool.out_of_step() == []


@pytest.mark.slow
@pytest.mark.parametrize("section", SECTIONS)
def test_right_and_wrong_answers_are_told_apart(section: str) -> None:
    found = proof.in_process_of_its_own(section)
    assert set(found) == {e.id for e in exercises(section)}
    assert proof.complaints(found) == []
    full = {e.id: e.points for e in exercises(section)}
    assert {name: tried["solution"]["score"] for name, tried in found.items()} == full


@pytest.mark.slow
def test_whole_notebooks_by_the_grader(tmp_path: Path) -> None:
    """The files as a class hands them in: all points for every solution, none for one hand-out a chapter."""
    solved = tool.solutions()
    given = [min(f.glob("*.ipynb")) for f in sorted((ROOT / "exercises").iterdir()) if f.is_dir()]
    limits = Limits(seconds=120, cpu=60)
    graded = grade([*solved, *given], limits, seed=5, jobs=min(os.cpu_count() or 1, 2))
    assert [g.verdict for g in graded] == ["graded"] * len(graded), graded
    for g in graded[: len(solved)]:
        assert g.score == g.points > 0, (g.file, [e for e in g.exercises if not e["score"]])
    assert [g.score for g in graded[len(solved) :]] == [0] * len(given)


def solution(*cells: tuple[str, str]) -> nbformat.NotebookNode:
    nb = nbformat.v4.new_notebook()
    nb.cells = [nbformat.v4.new_markdown_cell("# Title", id="title")]
    for i, (tag, source) in enumerate(cells):
        metadata = {"tags": [tag]} if tag else {}
        nb.cells.append(nbformat.v4.new_code_cell(source, metadata=metadata, id=f"c{i}"))
    return nb


def test_a_hand_out_that_tells_the_answer_is_refused() -> None:
    block = "# BEGIN SOLUTION\nslope = 2 * weight * residual\n# END SOLUTION"
    assert tool.hand_out(solution(("2.1.1-a", block)), "exercises/x.ipynb")
    leaky = solution(("2.1.1-a", block), ("", "print('slope = 2 * weight * residual')"))
    with pytest.raises(tool.LeakError, match="the hand-out says it too"):
        tool.hand_out(leaky, "exercises/x.ipynb")
    for bad in (
        "# BEGIN  SOLUTION\nx = 1\n# END SOLUTION",
        "def f():\n    # BEGIN SOLUTION\n    return 1",
    ):
        with pytest.raises(tool.LeakError, match="marker"):
            tool.hand_out(solution(("2.1.1-a", bad)), "exercises/x.ipynb")


def test_the_proof_complains_of_everything_that_can_be_amiss() -> None:
    fine = {"status": "solved", "score": 2, "failed": [], "why": [], "raised": ""}
    failing = {**fine, "status": "not yet", "score": 0, "failed": ["t"], "why": ["w"]}
    empty = {**failing, "status": "not answered"}
    good = {"solution": fine, "handed out": empty, **{f"wrong: {k}": failing for k in "abc"}}
    assert proof.complaints({"2.1.1-a": good}) == []
    for key, value, says in [
        ("solution", failing, "the solution fails"),
        ("handed out", {**fine, "score": 1}, "scores 1"),
        ("wrong: a", fine, "should fail"),
        ("wrong: a", empty, "should fail"),
    ]:
        (line,) = proof.complaints({"2.1.1-a": {**copy.deepcopy(good), key: value}})
        assert says in line
    del good["wrong: c"]
    assert "fewer than 3" in proof.complaints({"2.1.1-a": good})[0]


def test_wrong_answers_belong_to_exercises() -> None:
    folders = {p.parent for p in proof.WRONG.rglob("*.py")}
    known = {e.id for e in exercises()}
    assert {f.name for f in folders} == known
    assert all(f.parent.name == f.name.partition("-")[0] for f in folders)


def test_solutions_keep_no_reader_s_data() -> None:
    """What is stored in a solution's outputs is the plain text of a solved check."""
    for path in tool.solutions():
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            text = "".join(
                "".join(out.get("text", ""))
                for out in cell.get("outputs", [])
                if cell["cell_type"] == "code"
            )
            if "".join(cell["source"]).startswith("check("):
                assert ": solved, " in text and "progress" not in text, path
