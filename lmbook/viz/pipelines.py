"""A pipeline's schedule: a row for each stage, a numbered box for each microbatch."""

import re
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Patch, Rectangle

from lmbook.viz.canvas import axes
from lmbook.viz.colours import BLUE, FAINT, GREEN, VIOLET, ink_on
from lmbook.viz.styling import WIDTH

KINDS = {"F": (BLUE, "forward"), "B": (GREEN, "backward"), "W": (VIOLET, "weights")}
LABEL = re.compile(r"([FBW])(\d+)(?:\.(\d+))?")


class Box(NamedTuple):
    """One action of one stage."""

    rank: int
    kind: str
    microbatch: int
    chunk: int
    start: float
    end: float


def boxes(source: Any) -> list[Box]:
    """The actions of a `Timeline`, or of the log of a run whose computations are labelled F3, B3, F3.1 ..."""
    if hasattr(source, "spans"):
        return [
            Box(s.rank, s.action.kind, s.action.microbatch, s.action.chunk, s.start, s.end)
            for s in source.spans
        ]
    found = []
    for e in source.events:
        parts = LABEL.fullmatch(e.label) if e.kind == "compute" else None
        if parts:
            kind, microbatch, chunk = parts.groups()
            found.append(Box(e.rank, kind, int(microbatch), int(chunk or 0), e.start, e.end))
    return found


def _shade(colour: str, chunk: int, chunks: int) -> str:
    """The colour, paler for each further chunk of a rank."""
    white = 0.55 * chunk / max(chunks - 1, 1)
    red, green, blue = (c + (1 - c) * white for c in to_rgb(colour))
    return to_hex((red, green, blue))


def pipeline(
    source: Any,
    *,
    title: str = "",
    xlabel: str = "time",
    unit: float = 1.0,
    end: float | None = None,
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw a `lmbook.parallel.Timeline`, or the log of a real pipeline on the simulator's clock.

    Forward, backward and weight actions have a colour each, further chunks of a rank a paler one; the number
    is the microbatch's, left out where a box is too narrow for it. What is left grey is idle time. Times are
    divided by `unit`; `end` is where the axis ends, so that several diagrams can be compared, or one step of
    many be seen.
    """
    drawn = boxes(source)
    if not drawn:
        raise ValueError(
            "pipeline: nothing to draw; give a Timeline, or the log of a Pipeline made with seconds=..."
        )
    stages = 1 + max(b.rank for b in drawn)
    chunks = 1 + max(b.chunk for b in drawn)
    last = max(b.end for b in drawn) / unit
    end = last if end is None else end
    if ax is None:
        height = 0.75 + 0.36 * stages + 0.35 * legend + 0.3 * bool(title)
        ax = axes(None, (WIDTH, height))
    inches = ax.get_figure(root=True).get_size_inches()[0] * ax.get_subplotspec().get_position(  # type: ignore[union-attr]
        ax.get_figure(root=True)  # type: ignore[arg-type]
    ).width  # fmt: skip
    for r in range(stages):
        ax.add_patch(Rectangle((0, r - 0.42), min(last, end), 0.84, facecolor=FAINT, linewidth=0))
    for b in drawn:
        if b.start / unit >= end:
            continue
        start, width = b.start / unit, (b.end - b.start) / unit
        colour = _shade(KINDS[b.kind][0], b.chunk, chunks)
        gap = min(0.06 * width, 0.004 * end)
        ax.add_patch(
            Rectangle((start + gap, b.rank - 0.42), width - 2 * gap, 0.84, facecolor=colour, linewidth=0)
        )  # fmt: skip
        points = 0.85 * inches * 72 * width / end  # the width of the box on paper
        name = str(b.microbatch)
        size = min(12.0, points / (0.75 * len(name)))
        if size >= 8.5:  # a smaller number cannot be read
            ax.text(start + width / 2, b.rank, name, ha="center", va="center_baseline",
                    fontsize=size, color=ink_on(colour))  # fmt: skip
    ax.set(xlim=(0, end), ylim=(stages - 0.5, -0.5), xlabel=xlabel, title=title)
    ax.set_yticks(range(stages), [f"stage {r}" for r in range(stages)])
    ax.tick_params(axis="y", length=0)
    ax.grid(False)
    ax.spines["left"].set_visible(False)
    if legend:
        kinds = [k for k in KINDS if any(b.kind == k for b in drawn)]
        handles = [Patch(facecolor=KINDS[k][0], label=KINDS[k][1]) for k in kinds]
        handles.append(Patch(facecolor=FAINT, label="idle"))
        ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0),
                  ncols=len(handles), handlelength=1.2)  # fmt: skip
    return ax
