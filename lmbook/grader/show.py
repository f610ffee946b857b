"""How results look: plain text anywhere, HTML in a notebook.

A mark and a word carry the verdict; colour only helps.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from lmbook.grader.running import EMPTY, Result

MARKS = {True: "✓", False: "✗"}
WORDS = {True: "passed", False: "failed"}
# Blue and vermilion stay apart for every kind of colour vision, on white and on dark grey.
COLOURS = {True: "#3b8fd4", False: "#d9722e"}


def headline(result: Result) -> str:
    """'2.1.1-a  A sigmoid that does not overflow: solved, 2 of 2 points'."""
    points = f"{result.score} of {result.points} point{'s' if result.points != 1 else ''}"
    return f"{result.id}  {result.title}: {result.status}, {points}"


def _rows(result: Result) -> list[tuple[bool, str, str, str]]:
    """(passed, name, message, hint) a test; an empty answer is said once."""
    if result.status == EMPTY:
        first = next(o for o in result.outcomes if o.empty)
        return [(False, "no answer yet", first.message, "")]
    return [(o.passed, o.name, o.message, o.hint) for o in result.outcomes]


def as_text(result: Result) -> str:
    """A few lines of plain text."""
    lines = [headline(result)]
    for passed, name, message, hint in _rows(result):
        lines.append(
            f"  {MARKS[passed]} {WORDS[passed] if result.status != EMPTY else 'open'}  {name}"
        )
        lines += [f"      {line}" for line in message.splitlines()]
        if hint:
            lines.append(f"      hint: {hint}")
    return "\n".join(lines)


def as_html(result: Result) -> str:
    """The same for a notebook, readable on a light and on a dark page."""
    colour = COLOURS[result.solved]
    parts = [
        f'<div role="status" style="border-left:4px solid {colour};padding:.3em .8em;margin:.3em 0">',
        f"<strong>{MARKS[result.solved]} {html.escape(headline(result))}</strong>",
        '<ul style="list-style:none;margin:.3em 0 0 0;padding:0">',
    ]
    for passed, name, message, hint in _rows(result):
        word = WORDS[passed] if result.status != EMPTY else "open"
        parts.append(
            f'<li style="margin:.2em 0"><span style="color:{COLOURS[passed]};font-weight:bold">'
            f"{MARKS[passed]} {word}</span> {html.escape(name)}"
        )
        if message:
            parts.append(
                f'<div style="margin-left:1.4em;white-space:pre-wrap">{html.escape(message)}</div>'
            )
        if hint:
            parts.append(f'<div style="margin-left:1.4em"><em>Hint:</em> {html.escape(hint)}</div>')
        parts.append("</li>")
    return "".join([*parts, "</ul></div>"])


Row = tuple[str, str, int, int, str]  # id, title, score, points, status


def table_text(rows: Sequence[Row]) -> str:
    """A table of exercises with their points, in plain text."""
    head = ("exercise", "title", "points", "status")
    body = [
        (name, title, f"{score}/{points}", status) for name, title, score, points, status in rows
    ]
    total = f"{sum(r[2] for r in rows)}/{sum(r[3] for r in rows)}"
    body.append(("total", "", total, ""))
    widths = [max(len(line[i]) for line in (head, *body)) for i in range(4)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths)) for line in (head, *body)]
    return "\n".join(line.rstrip() for line in lines)


def table_html(rows: Sequence[Row]) -> str:
    """The same for a notebook."""
    cells = ["<table><thead><tr>"]
    cells += [f"<th>{name}</th>" for name in ("exercise", "title", "points", "status")]
    cells.append("</tr></thead><tbody>")
    for name, title, score, points, status in rows:
        mark = MARKS[score == points]
        line = (name, title, f"{score}/{points}", f"{mark} {status}")
        cells.append("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in line) + "</tr>")
    total = f"{sum(r[2] for r in rows)}/{sum(r[3] for r in rows)}"
    cells.append(f"<tr><th>total</th><td></td><td><strong>{total}</strong></td><td></td></tr>")
    return "".join([*cells, "</tbody></table>"])
