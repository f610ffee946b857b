"""What the rules of `book.tools.lint` share: a finding, and a notebook seen as a rule sees it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Problem:
    """One finding: the rule's name, the cell (None for the whole notebook), what and how to mend."""

    rule: str
    cell: int | None
    what: str
    mend: str

    def __str__(self) -> str:
        where = "notebook" if self.cell is None else f"cell {self.cell}"
        return f"{where}: {self.what} [{self.rule}]\n      mend: {self.mend}"


class View:
    """A notebook with what rules ask of it.

    `kind` is "section", "chapter" (a folder's opening notebook, 00_...), "solution" or "exercise".
    """

    def __init__(self, path: Path, root: Path = ROOT) -> None:
        self.path, self.root = Path(path), root
        self.text = self.path.read_text(encoding="utf-8")
        self.nb = nbformat.reads(self.text, 4)
        folders = {p.name for p in self.path.resolve().parents}
        if "solutions" in folders:
            self.kind = "solution"
        elif "exercises" in folders:
            self.kind = "exercise"
        else:
            self.kind = "chapter" if self.path.name.startswith("00_") else "section"

    @property
    def code(self) -> Iterator[tuple[int, NotebookNode]]:
        """Code cells with something in them."""
        return (
            (i, c)
            for i, c in enumerate(self.nb.cells)
            if c.cell_type == "code" and c.source.strip()
        )

    @property
    def prose(self) -> Iterator[tuple[int, NotebookNode]]:
        """Markdown cells."""
        return ((i, c) for i, c in enumerate(self.nb.cells) if c.cell_type == "markdown")

    @cached_property
    def trees(self) -> dict[int, ast.Module]:
        """The syntax tree of each code cell that is valid Python."""
        found = {}
        for i, cell in self.code:
            try:
                found[i] = ast.parse(cell.source)
            except SyntaxError:
                continue
        return found

    @cached_property
    def aliases(self) -> dict[str, str]:
        """What each imported name stands for: np -> numpy, randn -> lmbook.randn."""
        names: dict[str, str] = {}
        for tree in self.trees.values():
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    for a in node.names:
                        top = a.name if a.asname else a.name.split(".")[0]
                        names[a.asname or top] = top
                elif isinstance(node, ast.ImportFrom) and node.module:
                    for a in node.names:
                        names[a.asname or a.name] = f"{node.module}.{a.name}"
        return names

    def dotted(self, node: ast.expr) -> str:
        """The full name of what an expression refers to, as far as imports tell: numpy.random.rand."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.aliases.get(node.id, node.id), *reversed(parts)])

    def calls(self, tree: ast.AST, inside: bool = True) -> Iterator[tuple[ast.Call, str]]:
        """Calls in order of appearance; `inside=False` leaves out bodies of functions and classes."""
        for node in ast.iter_child_nodes(tree):
            scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
            if isinstance(node, scope) and not inside:
                continue
            yield from self.calls(node, inside)
            if isinstance(node, ast.Call):
                yield node, self.dotted(node.func)

    def has_tag(self, cell: NotebookNode, tag: str) -> bool:
        """Whether a cell carries a tag."""
        return tag in cell.metadata.get("tags", [])


def output_texts(cell: NotebookNode) -> Iterator[str]:
    """Every text that a cell put out: streams, text/plain, Markdown, HTML."""
    for output in cell.get("outputs", ()):
        if "text" in output:
            yield output.text
        for kind, value in output.get("data", {}).items():
            if not kind.startswith(("image/", "application/")):
                yield str(value)


def pictures(cell: NotebookNode) -> int:
    """How many pictures a cell put out."""
    return sum(
        any(kind.startswith("image/") for kind in output.get("data", {}))
        for output in cell.get("outputs", ())
    )


def plain(markdown: str) -> str:
    """Markdown less its formulas, code, roles, links' addresses, directives' options and comments."""
    text = re.sub(r"^(`{3,}|~{3,}).*?^\1\s*$", " ", markdown, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->|\$\$.*?\$\$|(?<!\\)\$[^$\n]+\$", " ", text, flags=re.DOTALL)
    text = re.sub(
        r"\{[\w:]+\}`[^`]*`|`[^`]*`|\]\([^)]*\)|^:[\w-]+:.*$|^\(.*\)=$",
        " ",
        text,
        flags=re.MULTILINE,
    )
    return text
