"""Write a solution notebook from a short script, as `book.tools.author` does for a chapter's.

s = Solution("02_core_algorithms/01_structure", "2.1.1", "Structure of a neural network")
s.exercise("2.1.1-a", "Write `sigmoid(x)` such that nothing overflows.", '''
    def sigmoid(x):
        # BEGIN SOLUTION
        ...
        # END SOLUTION
''')
s.save()
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import nbformat

from book.tools import notebooks
from lmbook.grader import find

KINDS = {
    "implement": "implement",
    "debug": "find the fault",
    "predict": "predict before you run",
    "prove": "prove",
}
IMPORTS = """\
import numpy as np

import lmbook
from lmbook.grader import check, report"""


class Solution:
    """The solutions of one section; title, set-up cell and imports are in it already."""

    def __init__(self, name: str, section: str, title: str, imports: str = "") -> None:
        self.path = notebooks.ROOT / "solutions" / f"{name}.ipynb"
        self.section = section
        self.cells: list[nbformat.NotebookNode] = []
        self.md(
            f"# Exercises {section}: {title}\n\nThey belong to section {section} of the book, "
            f"`chapters/{name}.ipynb`."
        )
        self.cells[0].id = "title"
        self.cells.append(notebooks.new_setup_cell(notebooks.setup_source()))
        extra = textwrap.dedent(imports).strip()
        self.code(f"{IMPORTS}\n{extra}" if extra else IMPORTS, id="imports")

    def md(self, text: str, solution_only: bool = False, id: str | None = None) -> None:
        """Prose; with `solution_only` the hand-out leaves it out, as for remarks on the answer."""
        cell = nbformat.v4.new_markdown_cell(textwrap.dedent(text).strip())
        cell.id = id or f"m{len(self.cells)}"
        if solution_only:
            cell.metadata["tags"] = ["solution-only"]
        self.cells.append(cell)

    def code(
        self, source: str, solution_only: bool = False, id: str | None = None, tag: str = ""
    ) -> None:
        """Code that stands in the hand-out too, unless it is for the solution only."""
        cell = nbformat.v4.new_code_cell(textwrap.dedent(source).strip())
        cell.id = id or f"c{len(self.cells)}"
        tags = [tag] if tag else []
        if solution_only:
            tags.append("solution-only")
        if tags:
            cell.metadata["tags"] = tags
        self.cells.append(cell)

    def exercise(self, id: str, task: str, answer: str, given: str = "", remark: str = "") -> None:
        """One exercise: its task, what is `given` in a cell before, the answer's cell, its check.

        `remark` is prose for the solution only: why the answer is right.
        """
        e = find(id)
        points = f"{e.points} point{'s' if e.points != 1 else ''}"
        key = id.replace(".", "-")
        head = f"## {e.title}\n\n**{id}** ({KINDS[e.kind]}; {points})"
        self.md(f"{head}\n\n{textwrap.dedent(task).strip()}", id=f"task-{key}")
        if given:
            self.code(given, id=f"given-{key}")
        self.code(answer, id=f"answer-{key}", tag=id)
        self.code(f'check("{id}")', id=f"check-{key}")
        if remark:
            self.md(remark, solution_only=True, id=f"remark-{key}")

    def save(self) -> Path:
        """Add the report and write the notebook; run `book.tools.notebooks execute` on it next."""
        self.md("## How far you are", id="how-far")
        self.code(f'report("{self.section}")', id="report")
        nb = notebooks.normalise(nbformat.v4.new_notebook(cells=self.cells))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        notebooks.write(nb, self.path)
        return self.path
