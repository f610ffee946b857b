"""Tables made from the registers in book/facts: chapters, coverage and errata.

`{parity} ROOM` shows how far a room's operations are from PyTorch's, `{parity-summary}` all in a sentence.

`{coverage-register}` and `{errata-register}` list what a chapter owes, each row linked to the place
in the book that answers it. A row's home is a label: `(cov-input-layer)=`, `(err-39)=`.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT / "book" / "facts"


class Home(nodes.General, nodes.Inline, nodes.Element):
    """A link to a label, resolved when every page is known; a dash where no page has it yet."""


def rows_of(name: str) -> list[dict[str, str]]:
    with (FACTS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def table(heads: list[str], widths: list[int], rows: list[list[nodes.Node | str]]) -> nodes.table:
    group = nodes.tgroup(cols=len(heads))
    group += [nodes.colspec(colwidth=width) for width in widths]
    head = nodes.row()
    head += [nodes.entry("", nodes.paragraph(text=text)) for text in heads]
    body = nodes.tbody()
    for cells in rows:
        row = nodes.row()
        for cell in cells:
            content = nodes.Text(cell) if isinstance(cell, str) else cell
            row += nodes.entry("", nodes.paragraph("", "", content))
        body += row
    group += [nodes.thead("", head), body]
    return nodes.table("", group, classes=["register"])


def chinese(text: str) -> nodes.inline:
    return nodes.inline("", text, classes=["zh", "language-zh"])  # docutils writes lang="zh"


class Chapters(SphinxDirective):
    """The notebooks that the table of contents holds, each with its Chinese name and what it builds."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(FACTS / "chapters.csv"))
        rows: list[list[nodes.Node | str]] = []
        for row in rows_of("chapters.csv"):
            path = ROOT / f"{row['notebook']}.ipynb"
            if row["notebook"] not in self.env.found_docs:
                continue
            self.env.note_dependency(str(path))
            title, subtitle = headings(path)
            link = addnodes.pending_xref(
                "", nodes.inline("", title), refdomain="std", reftype="doc", refexplicit=True,
                refdoc=self.env.docname, reftarget=f"/{row['notebook']}", refwarn=True,
            )  # fmt: skip
            name = nodes.inline("", "", link, nodes.Text(" "), chinese(subtitle))
            rows.append([name, row["builds"], row["data"], row["reference"]])
        heads = ["Section", "You build", "On", "Checked against"]
        return [table(heads, [34, 38, 16, 12], rows)] if rows else []


def headings(notebook: Path) -> tuple[str, str]:
    """The title and the Chinese subtitle of a notebook's first cell."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    text = "".join(cells[0]["source"])
    title = re.search(r"^# +(.+?)\s*$", text, re.MULTILINE)
    subtitle = re.search(r'lang="?zh"?>(.+?)</span>', text)
    return (title[1] if title else notebook.stem), (subtitle[1] if subtitle else "")


def mark_chinese_terms(_app: Sphinx, doctree: nodes.document) -> None:
    """Tell screen readers which terms of the glossary are Chinese."""
    for term in doctree.findall(nodes.term):
        if re.search(r"[\u4e00-\u9fff]", term.astext()):
            term["classes"] += ["zh", "language-zh"]


class Coverage(SphinxDirective):
    """The rows of the coverage register, with their homes."""

    def run(self) -> list[nodes.Node]:
        for name in ("coverage.csv", "coverage_links.csv"):
            self.env.note_dependency(str(FACTS / name))
        homes = {
            (r["chapter_section"], r["english_term"]): r for r in rows_of("coverage_links.csv")
        }
        rows: list[list[nodes.Node | str]] = []
        for row in rows_of("coverage.csv"):
            link = homes.get((row["chapter_section"], row["english_term"]), {})
            rows.append(
                [
                    row["chapter_section"],
                    row["english_term"],
                    chinese(row["chinese_term"]),
                    row["minimal_executable_treatment"],
                    Home(label=link.get("label", "")),
                ]
            )
        heads = ["Section", "Term", "Chinese", "What the book owes", "Where"]
        return [table(heads, [8, 20, 14, 38, 20], rows)]


class Errata(SphinxDirective):
    """The rows of the errata register, with the places that run them."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(FACTS / "errata.csv"))
        rows: list[list[nodes.Node | str]] = []
        for row in rows_of("errata.csv"):
            rows.append(
                [
                    row["id"],
                    row["where"],
                    self.parsed(row["what_it_says"]),
                    self.parsed(row["what_is_right"]),
                    Home(label=f"err-{row['id']}"),
                ]
            )
        heads = ["No.", "Section", "What the source says", "What is right", "Where it is run"]
        return [table(heads, [6, 8, 30, 38, 18], rows)]

    def parsed(self, text: str) -> nodes.inline:
        """The text with its formulas."""
        holder = nodes.Element()
        self.state.nested_parse(StringList([text], source="errata.csv"), 0, holder)
        return nodes.inline("", "", *holder[0].children)


class ParitySummary(SphinxDirective):
    """How many operations are compared, on how many inputs, and the largest errors, in a paragraph."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(FACTS / "parity.csv"))
        rows = rows_of("parity.csv")
        inputs = sum(int(row["inputs"]) for row in rows)
        exact = max((row["float64"] for row in rows), key=float)
        share = max(int(row["float32"] or 0) for row in rows)
        text = nodes.paragraph()
        text += nodes.Text(
            f"{len(rows)} operations and layers, {inputs:,} inputs. The largest error is at most "
        )
        text += power(exact)
        text += nodes.Text(
            f" in float64, and at most {share} per cent of the tolerance in float32."
        )
        return [text]


class Parity(SphinxDirective):
    """The rows of the parity register that belong to a room."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(FACTS / "parity.csv"))
        rows: list[list[nodes.Node | str]] = []
        for row in rows_of("parity.csv"):
            if row["room"] != self.arguments[0]:
                continue
            name = nodes.inline(
                "", "", nodes.literal("", row["name"].removeprefix(f"{row['room']}."))
            )
            if row["variants"]:
                name += nodes.inline("", row["variants"], classes=["variants"])
            how = {("yes", "yes"): "both", ("yes", "none"): "PyTorch"}
            rows.append(
                [
                    name,
                    row["inputs"],
                    power(row["float64"]),
                    f"{row['float32']} %" if row["float32"] else "\N{EN DASH}",
                    how.get((row["gradients"], row["differences"]), "\N{EN DASH}"),
                ]
            )
        heads = ["Operation", "Inputs", "float64", "float32", "Gradients"]
        if not rows:
            raise self.error(f"parity.csv has no row of the room {self.arguments[0]!r}")
        made = table(heads, [46, 12, 14, 14, 14], rows)
        made["classes"].append("parity")
        return [made]


def power(text: str) -> nodes.inline:
    """1e-15 as a power of ten."""
    exponent = str(int(text.removeprefix("1e"))).replace("-", "\N{MINUS SIGN}")
    return nodes.inline("", "", nodes.Text("10"), nodes.superscript("", exponent))


def resolve(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Turn homes into links, with the title of the nearest section as text."""
    domain = app.env.get_domain("std")
    for home in list(doctree.findall(Home)):
        label = home["label"]
        target, anchor = domain.anonlabels.get(label, (None, None))[:2]
        if target is None:
            home.replace_self(nodes.inline("", "\N{EN DASH}", classes=["no-home"]))
            continue
        title = app.env.titles[target].astext()
        if label in domain.labels:
            inner = domain.labels[label][2]
            title = title if inner == title else f"{title.split()[0]} {inner}"
        uri = app.builder.get_relative_uri(docname, target)
        home.replace_self(nodes.reference("", title, internal=True, refuri=f"{uri}#{anchor}"))


def skip(self: Any, _node: nodes.Element) -> None:
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_node(Home, html=(skip, None))
    app.add_directive("chapters", Chapters)
    app.add_directive("coverage-register", Coverage)
    app.add_directive("errata-register", Errata)
    app.add_directive("parity", Parity)
    app.add_directive("parity-summary", ParitySummary)
    app.connect("doctree-read", mark_chinese_terms)
    app.connect("doctree-resolved", resolve)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
