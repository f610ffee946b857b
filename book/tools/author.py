"""Write a notebook from a short script: the first draft's way in.

    nb = Notebook("chapters/02_core_algorithms/03_backpropagation.ipynb",
                  "2.1.3", "Back-propagation", "反向传播算法")
    nb.md("...")
    nb.code("...", figure=("graph", "The caption.", "The alternative text."))
    nb.save()

A cell's id is made from its content, so that inserting a cell changes no other id. Saving keeps the
outputs of cells whose source has not changed. Later edits go straight into the notebook.
"""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat

from book.tools import notebooks

Figure = tuple[str, str, str]


class Notebook:
    """A notebook in the making, with title, Chinese subtitle and set-up cell already in it."""

    def __init__(self, path: str | Path, number: str, title: str, subtitle: str) -> None:
        self.path = Path(path)
        if not self.path.is_absolute():
            self.path = notebooks.ROOT / self.path
        self.label = number.replace(".", "-").lower()
        self.cells: list[nbformat.NotebookNode] = []
        self._ids: set[str] = set()
        heading = f'(sec-{self.label})=\n\n# {number} {title}\n\n<span lang="zh">{subtitle}</span>'
        self.md(heading, id="title")
        self.cells.append(notebooks.new_setup_cell(notebooks.setup_source()))
        self._ids.add("setup")

    def _id(self, given: str | None, kind: str, text: str) -> str:
        if given in self._ids:
            raise ValueError(f"two cells with id {given!r}")
        base = given or f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        name, n = base, 1
        while name in self._ids:
            n += 1
            name = f"{base}-{n}"
        self._ids.add(name)
        return name

    def md(self, text: str, tags: Sequence[str] = (), id: str | None = None) -> None:
        """A cell of prose in MyST Markdown."""
        text = textwrap.dedent(text).strip()
        cell = nbformat.v4.new_markdown_cell(text, id=self._id(id, "m", text))
        if tags:
            cell.metadata["tags"] = list(tags)
        self.cells.append(cell)

    def code(
        self,
        source: str,
        figure: Figure | None = None,
        width: str | None = None,
        tags: Sequence[str] = (),
        id: str | None = None,
    ) -> None:
        """A cell of code; `figure` is (name, caption, alternative text) if it draws one.

        The name "graph" in section 2.1.3 becomes the label `fig-2-1-3-graph`. `width` ("70%")
        overrides the width that the figure's own size gives.
        """
        source = textwrap.dedent(source).strip()
        cell = nbformat.v4.new_code_cell(source, id=self._id(id, "c", source))
        if tags:
            cell.metadata["tags"] = list(tags)
        if figure:
            name, caption, alt = (" ".join(part.split()) for part in figure)
            image = {"alt": alt, **({"width": width} if width else {})}
            cell.metadata["mystnb"] = {
                "figure": {"name": f"fig-{self.label}-{name}", "caption": caption},
                "image": image,
            }
        self.cells.append(cell)

    explore = code

    def learn(self, points: Sequence[str], needs: Sequence[str]) -> None:
        """The opening box: what the reader will learn, and what to know first."""
        will = "\n".join(f"- {p}" for p in points)
        need = "\n".join(f"- {p}" for p in needs)
        self.md(
            f":::{{admonition}} What you will learn\n:class: tip\n\n{will}\n\n"
            f"**What you need first**\n\n{need}\n:::"
        )

    def predict(self, question: str, answer: str) -> None:
        """A question to answer before running the next cell, with a folded answer."""
        question, answer = (textwrap.dedent(t).strip() for t in (question, answer))
        self.md(
            f"::::{{admonition}} Predict\n:class: predict\n\n{question}\n\n"
            f":::{{dropdown}} Answer\n{answer}\n:::\n::::"
        )

    def exercises(self, tasks: Mapping[str, str], start: str = "") -> None:
        """The section's exercises: id and one line each."""
        lines = "\n".join(f"- **{name}** {' '.join(text.split())}" for name, text in tasks.items())
        self.md("\n\n".join(part for part in ("## Exercises", start.strip(), lines) if part))

    def further(self, text: str) -> None:
        """Further reading."""
        self.md(f"## Further reading\n\n{textwrap.dedent(text).strip()}")

    def save(self) -> Path:
        """Write the notebook; cells that have not changed keep their outputs."""
        nb = nbformat.v4.new_notebook(cells=self.cells)
        if self.path.exists():
            stored = {c.id: c for c in notebooks.read(self.path).cells if c.cell_type == "code"}
            for cell in nb.cells:
                old = stored.get(cell.id)
                if cell.cell_type == "code" and old and old.source == cell.source:
                    cell.outputs, cell.execution_count = old.outputs, old.execution_count
        self.path.parent.mkdir(parents=True, exist_ok=True)
        notebooks.write(notebooks.normalise(nb), self.path)
        return self.path
