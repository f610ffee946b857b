"""Text that a model wrote or read, as a figure: it differs between machines, as pictures may."""

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from lmbook.viz.canvas import array
from lmbook.viz.colours import BLUE, INK
from lmbook.viz.styling import WIDTH

ROW, COLUMN = 0.19, 0.0826  # inches that a character of 10 points takes, with its line


def text(
    passages: str | dict[str, str],
    values: Any = None,
    *,
    columns: int = 80,
    most: float | None = None,
    lines: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Write text in lines of `columns` characters; `values` colours what stands behind each.

    `passages` is a text, or several under their headings. `values` has a number from 0 to `most`
    (default: the largest) for each character of a single text: the larger, the stronger the colour.
    Long lines are broken, at spaces where no values are given. `lines` fixes the height, for a text
    that a model writes anew: a longer one is cut, and its last line says so.
    """
    if lines is not None and lines < 1:
        raise ValueError(f"text: {lines} lines leave no room; give at least 1")
    if isinstance(passages, dict):
        if values is not None:
            raise ValueError("text: values colour a single text, not several under headings")
        rows = [
            line for heading, body in passages.items() for line in _block(heading, body, columns)
        ]
        places: Sequence[tuple[int, int]] = []
    else:
        rows, places = _grid(passages, columns, exact=values is not None)
    height = lines or len(rows)
    if len(rows) > height:
        rows[height - 1 :] = [rows[height - 1][: columns - 2] + " \u2026"]
    if ax is None:
        _, ax = plt.subplots(figsize=(min(WIDTH, columns * COLUMN + 0.1), ROW * height + 0.1))
    ax.set(xlim=(0, columns), ylim=(height, 0))
    ax.set_axis_off()
    if values is not None:
        strength = array(values).astype(float)
        if len(strength) != len(passages):
            raise ValueError(f"text: {len(strength)} values for {len(passages)} characters")
        strength = np.clip(strength / (most or max(strength.max(), 1e-12)), 0, 1)
        for (row, column), s in zip(places, strength):
            if row < height:
                cell = Rectangle((column, row), 1, 1, color=BLUE, alpha=0.6 * s, linewidth=0)
                ax.add_patch(cell)
    for row, line in enumerate(rows):
        for column, character in enumerate(line):
            if character != " ":
                ax.text(column + 0.5, row + 0.5, character, family="monospace", color=INK,
                        ha="center", va="center", fontsize=9)  # fmt: skip
    return ax


def _block(heading: str, body: str, columns: int) -> list[str]:
    """A heading, and its text set in by two characters."""
    inside = [
        "  " + piece
        for line in body.splitlines()
        for piece in (textwrap.wrap(line, columns - 2, drop_whitespace=False) or [""])
    ]
    return [heading[:columns], *inside, ""]


def _grid(body: str, columns: int, exact: bool) -> tuple[list[str], list[tuple[int, int]]]:
    """Lines, and the place (row, column) of every character; a line break shows as a sign."""
    if not exact:
        wrapped = (
            textwrap.wrap(line, columns, drop_whitespace=False) or [""]
            for line in body.splitlines()
        )
        return [piece for pieces in wrapped for piece in pieces], []
    lines, places = [""], []
    for character in body:
        if len(lines[-1]) == columns:
            lines.append("")
        places.append((len(lines) - 1, len(lines[-1])))
        lines[-1] += "\u21b5" if character == "\n" else character
        if character == "\n":
            lines.append("")
    return lines, places
