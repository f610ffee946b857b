"""Rules about prose: the frame of a section, citations, exercises, numbers seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from book.tools.rules import Problem, View, output_texts, plain

TITLE = re.compile(
    r"\A\(sec-(?P<label>[\w-]+)\)=\n+# (?P<number>[\dA-Z][\d.]*) \S.*\n+"
    r'<span lang="zh">[^<]*[\u4e00-\u9fff][^<]*</span>\s*\Z'
)
CITE = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")
EXERCISE = re.compile(r"\b(?:\d|[A-Z])(?:\.\d+){1,2}-[a-z]\b")
NUMBER = re.compile(r"(?<![\w.,\u2013-])[-\u2212]?(\d+(?:\.\d+)?)(?![\w.]*\d)\s?(%|per cent\b)?")
SECTION = re.compile(
    r"(?:[Ss]ections?|[Cc]hapters?|[Aa]ppendix|[Vv]ersions?|Python)\s+[\d.]+(?:\s+(?:and|to)\s+[\d.]+)?"
)


def title(view: View) -> Iterator[Problem]:
    """Label, numbered title, Chinese subtitle; other headings without numbers."""
    cells = [c for _, c in view.prose]
    if view.kind in ("chapter", "section"):
        found = TITLE.match(cells[0].source) if cells and view.nb.cells[0] is cells[0] else None
        if not found:
            yield Problem(
                "title",
                0,
                "the first cell is not label, title and Chinese subtitle",
                '(sec-2-1-3)=, "# 2.1.3 Title", <span lang="zh">标题</span>, nothing else',
            )
        elif found["number"].replace(".", "-").lower() != found["label"]:
            yield Problem(
                "title",
                0,
                f"label sec-{found['label']} for section {found['number']}",
                "make the label from the section's number",
            )
    for i, cell in view.prose:
        for line in re.findall(r"^#{1,6} .*$", plain(cell.source), re.MULTILINE):
            if i and line.startswith("# "):
                yield Problem("title", i, f"a second title: {line}", "use ## for headings")
            if re.match(r"##+ \d", line):
                yield Problem(
                    "title",
                    i,
                    f"a heading with a number: {line}",
                    "leave the number out; the site numbers headings",
                )


def frame(view: View) -> Iterator[Problem]:
    """What every section has."""
    if view.kind != "section":
        return
    text = "\n\n".join(c.source for _, c in view.prose)
    wanted = {
        r"^:{3,}\{admonition\} What you will learn": "an admonition 'What you will learn'",
        r"^:{3,}\{admonition\} Predict": "a box 'Predict' with a folded answer",
        r"^## Summary\s*$": "a heading '## Summary'",
        r"^## Exercises\s*$": "a heading '## Exercises'",
        r"^## Further reading\s*$": "a heading '## Further reading'",
    }
    for pattern, what in wanted.items():
        if not re.search(pattern, text, re.MULTILINE):
            yield Problem("frame", None, f"without {what}", f"add {what}")
    if re.search(r"^## Further reading", text, re.MULTILINE) and not CITE.search(
        text.split("## Further reading")[-1]
    ):
        yield Problem("frame", None, "further reading without a citation", "cite with {cite}`key`")
    calls = [name for tree in view.trees.values() for _, name in view.calls(tree)]
    if not any(name.endswith("viz.explore") for name in calls):
        yield Problem(
            "explorer",
            None,
            "without an explorer",
            "let the reader vary something: viz.explore(draw, rate=(0, 1, 0.1))",
        )


def markup(view: View) -> Iterator[Problem]:
    """Colon fences for directives, alternative texts for pictures."""
    for i, cell in view.prose:
        if re.search(r"^\s*`{3,}\{", cell.source, re.MULTILINE):
            yield Problem("fence", i, "a directive in back-ticks", "use colons: :::{note} ... :::")
        if re.search(r"!\[\s*\]\(", cell.source):
            yield Problem(
                "alt", i, "a picture without an alternative text", "![what it shows](...)"
            )


@cache
def cite_keys(bibliography: Path) -> frozenset[str] | None:
    """Keys of the bibliography; None before there is one."""
    if not bibliography.exists():
        return None
    text = bibliography.read_text(encoding="utf-8")
    return frozenset(re.findall(r"^\s*@\w+\s*\{\s*([^,\s]+)", text, re.MULTILINE))


def citations(view: View) -> Iterator[Problem]:
    """Cited works are in the bibliography."""
    known = cite_keys(view.root / "book" / "references.bib")
    for i, cell in view.prose:
        for key in (k.strip() for found in CITE.findall(cell.source) for k in found.split(",")):
            if known is not None and key not in known:
                yield Problem(
                    "cite",
                    i,
                    f"no work {key!r} in book/references.bib",
                    "add the entry, or mend the key",
                )


@cache
def exercise_ids(checks: Path) -> frozenset[str] | None:
    """Ids that the grader knows; None before there are checks."""
    if not checks.exists():
        return None
    text = "\n".join(p.read_text(encoding="utf-8") for p in sorted(checks.rglob("*.py")))
    return frozenset(re.findall(r"""["']((?:\d|[A-Z])(?:\.\d+){1,2}-[a-z])["']""", text))


def exercises(view: View) -> Iterator[Problem]:
    """At least three exercises, of this section, that the grader knows."""
    if view.kind != "section":
        return
    known = exercise_ids(view.root / "lmbook" / "grader" / "checks")
    listed: set[str] = set()
    for i, cell in view.prose:
        if not re.search(r"^## Exercises", cell.source, re.MULTILINE):
            continue
        listed |= (here := set(EXERCISE.findall(cell.source)))
        for name in sorted(here - (known if known is not None else here)):
            yield Problem(
                "exercise",
                i,
                f"the grader has no exercise {name}",
                "write its check in lmbook/grader/checks, or mend the id",
            )
    if len(listed) < 3:
        yield Problem(
            "exercise",
            None,
            f"{len(listed)} exercises listed, fewer than three",
            "list id and task of at least three under ## Exercises",
        )


def _shown(view: View) -> list[tuple[float, int]]:
    """Numbers in the code and in all outputs, each with its count of decimals."""
    texts = [t for _, c in view.code for t in (c.source, *output_texts(c))]
    found = re.findall(
        r"\d+(?:\.\d+)?(?:e-?\d+)?", "\n".join(texts).replace("_", "").replace(",", " ")
    )
    return [(float(n), len(n.partition(".")[2])) for n in set(found)]


def numbers(view: View) -> Iterator[Problem]:
    """A decimal or percentage in prose was printed by a cell, stands in its code, or is cited."""
    if view.kind == "exercise":
        return
    shown = _shown(view)
    for i, cell in view.prose:
        if view.has_tag(cell, "numbers-ok"):
            continue
        for sentence in re.split(r"(?<=[.!?:;])\s+(?=[A-Z*(])|\n\s*\n|\n\s*[-*] ", cell.source):
            if re.search(r"\{(?:cite|eq|numref)", sentence):
                continue
            text = SECTION.sub(" ", re.sub(r"^\s*#.*$", " ", plain(sentence), flags=re.MULTILINE))
            for digits, percent in NUMBER.findall(text):
                if (percent or "." in digits) and not _matches(digits, bool(percent), shown):
                    yield Problem(
                        "number",
                        i,
                        f"no cell has printed {digits}{' %' * bool(percent)}",
                        "print it, cite its source in the sentence, or tag numbers-ok",
                    )


def _matches(digits: str, percent: bool, shown: list[tuple[float, int]]) -> bool:
    """Whether some shown number, at least as precise, rounds to this one."""
    places, value = len(digits.partition(".")[2]), float(digits)
    half = 0.5 * 10**-places + 1e-9
    for number, decimals in shown:
        if decimals >= places and abs(number - value) <= half:
            return True
        if percent and decimals >= places + 2 and abs(number * 100 - value) <= half:
            return True
        if percent and abs(number * 100 - value) < 1e-9:
            return True
    return False


RULES = (title, frame, markup, citations, exercises, numbers)
