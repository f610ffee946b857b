"""Number figures, tables, listings and equations by the section that a page's title names.

A page titled "2.1.3 Back-propagation" numbers its figures "Figure 2.1.3-1", its equations
"(2.1.3-1)". A page whose title has no number counts "1", "2", ... on its own. The number is read
from the title after translation, so a translated book keeps it.

A page may show the numbers, titles and labels of any other. So when one page was read anew, all are
written anew; when none was, nothing is.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

SECTION = re.compile(r"^\s*(?P<number>\d+(?:\.\d+)*|[A-Z](?:\.\d+)*)\.?\s+\S")


def section_of(title: str) -> str:
    """The section number that opens a title, or an empty string."""
    match = SECTION.match(title)
    # One capital letter is an appendix only before a word, as in "C Errata", not "A tour".
    if match is None or (match["number"].isalpha() and title.split()[0] == "A"):
        return ""
    return match["number"]


def note_reading(_app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    env.pages_were_read = bool(docnames)  # type: ignore[attr-defined]


def restore_sphinx_numbers(_app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Sphinx compares its numbers with the last build's: with ours, every page would seem changed."""
    env.toc_fignumbers = getattr(env, "sphinx_fignumbers", env.toc_fignumbers)
    return []


def number_documents(_app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Overwrite Sphinx's numbers, which count through the whole book; return the pages to write."""
    if not env.pages_were_read:  # type: ignore[attr-defined]
        return []
    std = env.get_domain("std")
    env.sphinx_fignumbers = dict(env.toc_fignumbers)  # type: ignore[attr-defined]
    for docname in env.all_docs:
        section = section_of(env.titles[docname].astext()) if docname in env.titles else ""
        counters: dict[str, int] = {}
        numbers: dict[str, dict[str, tuple[str, ...]]] = {}
        for node in env.get_doctree(docname).findall(nodes.Element):
            kind = kind_of(std, node)
            if kind is None or not node["ids"]:
                continue
            counters[kind] = counters.get(kind, 0) + 1
            label = f"{section}-{counters[kind]}" if section else str(counters[kind])
            numbers.setdefault(kind, {})[node["ids"][0]] = (label,)
        numbers.setdefault("displaymath", {})
        env.toc_fignumbers[docname] = numbers  # type: ignore[assignment]
    return sorted(env.all_docs)


def kind_of(std: Any, node: nodes.Element) -> str | None:
    """'figure', 'table', 'code-block' or 'displaymath' for a numbered node, None for others."""
    if isinstance(node, nodes.math_block):
        return "displaymath" if node.get("label") and not node.get("nowrap") else None
    kind = std.get_enumerable_node_type(node)
    if kind == "section" or not std.get_numfig_title(node):  # no caption, no number
        return None
    return kind


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("env-before-read-docs", note_reading)
    app.connect(
        "env-get-updated", restore_sphinx_numbers, priority=100
    )  # before Sphinx's own, at 500
    app.connect("env-get-updated", number_documents, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
