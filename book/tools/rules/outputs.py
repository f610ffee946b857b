"""Rules about stored outputs: complete, current, the same on every machine, not too large."""

from __future__ import annotations

import re
from collections.abc import Iterator

from book.tools.rules import Problem, View, output_texts, pictures

LARGEST_OUTPUT, LARGEST_NOTEBOOK = 300_000, 3_000_000
ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,16}\b|<[\w.]+ object at ")
PATHS = re.compile(
    r"(?<![\w./:])/(?:home|root|tmp|usr|var|opt|Users|private|content|mnt|workspace|work)/[\w.-]+"
    r"|\b[A-Z]:\\\w+|~/\.\w+|site-packages/"
)
TIMES = re.compile(r"\d\s?(?:ms|µs|ns|it/s)\b|\b(?:took|elapsed)\b.{0,20}\d", re.IGNORECASE)
EXECUTE = "run `python -m book.tools.notebooks execute` on it"


def counts(view: View) -> Iterator[Problem]:
    """Execution counts are 1, 2, 3, ...: the notebook was run once, from top to bottom."""
    for expected, (i, cell) in enumerate(view.code, 1):
        if cell.execution_count != expected:
            yield Problem(
                "counts", i, f"execution count {cell.execution_count}, not {expected}", EXECUTE
            )


def errors(view: View) -> Iterator[Problem]:
    """Nothing on stderr, no tracebacks."""
    for i, cell in view.code:
        for output in cell.outputs:
            if output.output_type == "error":
                yield Problem(
                    "errors",
                    i,
                    f"a traceback: {output.ename}",
                    "catch the error and print its message",
                )
            elif output.get("name") == "stderr":
                yield Problem(
                    "errors",
                    i,
                    "something was written to stderr",
                    "mend the cause of the warning; progress goes to LMBOOK_PROGRESS",
                )


def machine(view: View) -> Iterator[Problem]:
    """No address, path or time of one machine, no widget state."""
    if "widgets" in view.nb.metadata:
        yield Problem("widgets", None, "widget state is stored", EXECUTE)
    for i, cell in view.code:
        for output in cell.outputs:
            if any("jupyter.widget" in kind for kind in output.get("data", {})):
                yield Problem(
                    "widgets",
                    i,
                    "a widget is stored in place of a figure",
                    "use viz.explore; " + EXECUTE,
                )
        text = "\n".join(output_texts(cell))
        if found := ADDRESS.search(text):
            yield Problem(
                "address",
                i,
                f"an address in the output: {found[0]}",
                "print a value or a name, not the object",
            )
        if found := PATHS.search(text):
            yield Problem(
                "path",
                i,
                f"a path of this machine in the output: {found[0]}",
                "print the file's name, or a path relative to the notebook",
            )
        if (found := TIMES.search(text)) and not view.has_tag(cell, "timing-verdict"):
            yield Problem(
                "time",
                i,
                f"a time in the output: {found[0]!r}",
                "print a rounded verdict, and tag the cell timing-verdict",
            )


def sizes(view: View) -> Iterator[Problem]:
    """Outputs that a phone can load."""
    for i, cell in view.code:
        size = sum(len(str(o)) for o in cell.outputs)
        if size > LARGEST_OUTPUT:
            yield Problem(
                "size",
                i,
                f"{size // 1000} KB of output, more than 300",
                "draw fewer points or pictures, or a smaller figure",
            )
    size = len(view.text.encode())
    if size > LARGEST_NOTEBOOK:
        yield Problem("size", None, f"{size / 1e6:.1f} MB, more than 3", "draw smaller figures")


def figures(view: View) -> Iterator[Problem]:
    """Every figure is there, alone in its cell, with a name, a caption and an alternative text."""
    names: set[str] = set()
    for i, cell in view.code:
        tree = view.trees.get(i)
        called = [name for _, name in view.calls(tree, inside=False)] if tree else []
        draws = any(n == "matplotlib.pyplot.show" or n.endswith("viz.explore") for n in called)
        drawn = pictures(cell)
        meta = cell.metadata.get("mystnb", {})
        if draws and not drawn:
            yield Problem("figure", i, "should draw a figure, but none is stored", EXECUTE)
        if not drawn or view.kind in ("solution", "exercise"):
            continue
        if drawn > 1:
            yield Problem(
                "figure",
                i,
                f"{drawn} figures in one cell",
                "one figure a cell, or panels of one figure",
            )
        figure = meta.get("figure", {})
        name = figure.get("name", "")
        if not name.startswith("fig-") or not figure.get("caption", "").strip():
            yield Problem(
                "caption",
                i,
                "a figure without caption, or without a name fig-...",
                'metadata: "mystnb": {"figure": {"name": "fig-2-1-3-...", "caption": ...}}',
            )
        if len(meta.get("image", {}).get("alt", "").strip()) < 10:
            yield Problem(
                "alt",
                i,
                "a figure without an alternative text",
                'metadata: "mystnb": {"image": {"alt": "what a reader would see"}}',
            )
        if name in names:
            yield Problem("caption", i, f"a second figure named {name}", "give it another name")
        names.add(name)


RULES = (counts, errors, machine, sizes, figures)
