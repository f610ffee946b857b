"""One cycle of a systolic array."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from lmbook.accelerators import Frame
from lmbook.viz.canvas import axes, bare
from lmbook.viz.colours import BLUE, FAINT, INK, ORANGE
from lmbook.viz.styling import figsize

CENTRE: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 12}


def systolic(frame: Frame, *, ax: Axes | None = None) -> Axes:
    """The cells of the grid: activation times weight, and below them the sum that goes down.

    Cells that multiply in this cycle have a thick blue frame; the others are faint and empty.
    """
    rows, columns = frame.weights.shape
    ax = axes(ax, figsize(0.2 * columns, 0.2 * rows))
    for r in range(rows):
        for c in range(columns):
            on = bool(frame.working[r, c])
            ax.add_patch(
                FancyBboxPatch(
                    (c + 0.12, r + 0.12),
                    0.76,
                    0.76,
                    boxstyle="round,pad=0,rounding_size=0.08",
                    facecolor="none",
                    edgecolor=BLUE if on else FAINT,
                    linewidth=2.4 if on else 1.2,
                )
            )
            if on:
                weight, down = f"{frame.weights[r, c]:g}", f"{frame.partial[r, c]:g}"
                ax.text(c + 0.3, r + 0.35, f"{frame.activations[r, c]:g}", color=BLUE, **CENTRE)
                ax.text(c + 0.5, r + 0.35, "\u00d7", color=INK, **CENTRE)
                ax.text(c + 0.7, r + 0.35, weight, color=INK, **CENTRE)
                ax.text(c + 0.5, r + 0.68, down, color=ORANGE, fontweight="bold", **CENTRE)
    ax.set(xlim=(0, columns), ylim=(rows, 0), aspect="equal")
    ax.set_title(f"cycle {frame.cycle}", fontsize=13)
    return bare(ax)
